import { setTimeout as sleep } from 'node:timers/promises'
import type { Store } from '../../src/index.ts'
import type { GroupWorkerInput } from '../lanes/group-worker.ts'
import type { Campaign } from './campaign.ts'
import { type Child, endChildren, startChild } from './child.ts'

export const leaseTtlMs = 2000
const partitions = 16
const keyCount = 100

export interface Handled {
  readonly atMs: number
  readonly stream: string
  readonly version: number
}

/** What the workers of one group have written down, of all processes that ever were. */
export class WorkerGroup {
  readonly #url: string
  readonly #mutant: GroupWorkerInput['mutant']
  readonly #all: Child[] = []
  readonly running: Child[] = []

  constructor(url: string, mutant?: GroupWorkerInput['mutant']) {
    this.#url = url
    this.#mutant = mutant
  }

  async start(): Promise<Child> {
    const input: GroupWorkerInput = {
      ...{ url: this.#url, name: 'ledger', partitions, leaseTtlMs },
      mutant: this.#mutant,
    }
    const child = startChild(import.meta.url, '../lanes/group-worker.ts', { input })
    this.#all.push(child)
    this.running.push(child)
    await child.message('ready')
    return child
  }

  /** Ends a worker: by a signal that leaves it no time, or by asking it to. */
  async end(child: Child, how: 'SIGKILL' | 'stop'): Promise<void> {
    this.running.splice(this.running.indexOf(child), 1)
    if (how === 'SIGKILL') child.kill('SIGKILL')
    else {
      child.send({})
      await child.message('report')
    }
    await child.ended
  }

  /** Lines in the order of the clock that the processes share. */
  handled(): Handled[] {
    const lines = this.#all.flatMap((child) => {
      const text = child.output()
      return text
        .slice(0, text.lastIndexOf('\n') + 1)
        .split('\n')
        .slice(0, -1)
    })
    const parsed = lines.map((line) => {
      const [atMs, stream = '', version] = line.split(' ')
      return { atMs: Number(atMs), stream, version: Number(version) }
    })
    return parsed.sort((a, b) => a.atMs - b.atMs)
  }

  of(child: Child): Handled[] {
    const lines = child.output().split('\n').slice(0, -1)
    return lines.map((line) => {
      const [atMs, stream = '', version] = line.split(' ')
      return { atMs: Number(atMs), stream, version: Number(version) }
    })
  }

  async dispose(): Promise<void> {
    await endChildren(this.#all)
  }
}

/** What is lost or out of order: the first time that each version was handled decides. */
export function wrongIn(
  handled: readonly Handled[],
  versions: ReadonlyMap<string, number>,
): string[] {
  const wrong: string[] = []
  const last = new Map<string, number>()
  for (const { stream, version } of handled) {
    const before = last.get(stream) ?? 0
    if (version > before + 1) wrong.push(`${stream} went from ${before} to ${version}`)
    last.set(stream, Math.max(before, version))
  }
  for (const [stream, version] of versions) {
    const seen = last.get(stream) ?? 0
    if (seen < version) wrong.push(`${stream} ends at ${seen}, its last version is ${version}`)
  }
  return wrong
}

/** Appends small batches to random streams until told to stop. */
export function startNoting(store: Store, run: Campaign) {
  const versions = new Map<string, number>()
  let stopped = false
  const write = async (): Promise<void> => {
    while (!stopped) {
      const stream = `key-${run.between(1, keyCount)}`
      const events = Array.from({ length: run.between(1, 3) }, () => ({ type: 'Noted', data: {} }))
      const { version } = await store.append(stream, events)
      versions.set(stream, version)
      await sleep(run.between(0, 6))
    }
  }
  const running = write()
  const stop = async (): Promise<void> => {
    stopped = true
    await running
  }
  return { versions, stop }
}

export async function caughtUp(
  group: WorkerGroup,
  versions: ReadonlyMap<string, number>,
): Promise<string[]> {
  for (let round = 0; ; round++) {
    const wrong = wrongIn(group.handled(), versions)
    if (wrong.length === 0 || round > 100) return wrong
    await sleep(100)
  }
}
