import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../../src/kernel/index.ts'
import type { TracedCall } from './trace.ts'

/** What becomes of writes that no sync had reached when the power went. */
export type LossMode = 'all lost' | 'some lost' | 'torn' | 'none lost'

export const lossModes: readonly LossMode[] = ['all lost', 'some lost', 'torn', 'none lost']

const sectorBytes = 512

type Change = Extract<TracedCall, { kind: 'write' | 'truncate' }>

interface SimulatedFile {
  content: Buffer
  /** Whether the folder's entry is on the disk. */
  entered: boolean
  /** Removed, but the folder was not synced since: it may come back. */
  removed: boolean
  pending: Change[]
}

function apply(content: Buffer, change: Change, keepsSector: () => boolean): Buffer {
  if (change.kind === 'truncate') {
    if (change.size <= content.length) return content.subarray(0, change.size)
    return Buffer.concat([content, Buffer.alloc(change.size - content.length)])
  }
  const { at, bytes } = change
  let result = content
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(bytes.length, from + sectorBytes - ((at + from) % sectorBytes))
    if (keepsSector()) {
      const end = at + to
      if (end > result.length) {
        // What lies between the old end and the write reads as zeros.
        result = Buffer.concat([result, Buffer.alloc(end - result.length)])
      }
      bytes.copy(result, at + from, from, to)
    }
    from = to
  }
  return result
}

/** A disk that remembers which writes were synced. */
export class SimulatedDisk {
  readonly #folder: string
  readonly #files = new Map<string, SimulatedFile>()

  /** `folder` is the base name of the folder in which everything happens. */
  constructor(folder: string) {
    this.#folder = folder
  }

  run(call: TracedCall): void {
    if (call.kind === 'sync' && call.file === this.#folder) {
      if (call.failed !== true) this.#syncFolder()
      return
    }
    if (call.kind === 'unlink') {
      const file = this.#files.get(call.file)
      if (file !== undefined) file.removed = true
      return
    }
    const file = this.#file(call.file)
    if (call.kind !== 'sync') {
      file.pending.push(call)
      return
    }
    // After a failed sync a kernel may count the pages as written: no later sync brings them.
    if (call.failed !== true) {
      for (const change of file.pending) file.content = apply(file.content, change, () => true)
    }
    file.pending = []
  }

  /** Writes what a reader finds after the power came back. */
  image(target: string, mode: LossMode, random: Random): void {
    const share = mode === 'all lost' ? 0 : mode === 'none lost' ? 1 : random.next()
    const kept = (): boolean => random.next() < share
    for (const [name, file] of this.#files) {
      if (file.removed ? kept() : !file.entered && !kept()) continue
      let content: Buffer = Buffer.from(file.content)
      for (const change of file.pending) {
        if (mode === 'torn' && change.kind === 'write') content = apply(content, change, kept)
        else if (kept()) content = apply(content, change, () => true)
      }
      writeFileSync(join(target, name), content)
    }
  }

  #file(name: string): SimulatedFile {
    const known = this.#files.get(name)
    if (known !== undefined && !known.removed) return known
    const made = { content: Buffer.alloc(0), entered: false, removed: false, pending: [] }
    this.#files.set(name, made)
    return made
  }

  #syncFolder(): void {
    for (const [name, file] of this.#files) {
      if (file.removed) this.#files.delete(name)
      else file.entered = true
    }
  }
}
