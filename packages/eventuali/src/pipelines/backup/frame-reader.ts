import { type FileHandle, open } from 'node:fs/promises'
import { BackupInvalidError, BackupPassphraseError, compressionNames } from '../../model/index.ts'
import { type BackupBegin, type BackupEnd, type BackupFile, beginOf, endOf } from './backup-file.ts'
import {
  firstLink,
  frameKinds,
  headerBytes,
  headerOf,
  linkBytes,
  linkOf,
  magic,
  type Packing,
  type StoredFrame,
  unpackFrame,
} from './frames.ts'
import { type Sealing, type SealingParameters, sealingOf } from './sealing.ts'

/** How files are read. */
export interface ReadingOptions {
  readonly passphrase?: string | undefined
  /** @internal For a test that plants a reader without checksums. */
  readonly unchecked?: boolean | undefined
}

/** A frame with the text in it. */
export interface ReadFrame {
  readonly kind: number
  readonly text: string
}

/** Keys cost time by design: a job that reads files more than once derives each of them once. */
const derived = new WeakMap<ReadingOptions, Map<string, Promise<Sealing>>>()

function sealingOnce(
  options: ReadingOptions,
  parameters: SealingParameters,
  file: string,
): Promise<Sealing> {
  const known = derived.get(options) ?? new Map<string, Promise<Sealing>>()
  derived.set(options, known)
  const name = JSON.stringify(parameters)
  const sealing = known.get(name) ?? sealingOf(parameters, options.passphrase ?? '', file)
  known.set(name, sealing)
  return sealing
}

const READ_BYTES: number = 256 * 1024

/** Reads a file from its beginning to its end, and refuses it where it is not whole. */
export class FrameReader {
  readonly #file: string
  readonly #handle: FileHandle
  readonly #options: ReadingOptions
  readonly size: number
  #packing: Packing | undefined
  #link: Buffer = firstLink()
  #number = 0
  #buffer: Buffer = Buffer.alloc(0)
  #at = 0

  private constructor(file: string, handle: FileHandle, size: number, options: ReadingOptions) {
    this.#file = file
    this.#handle = handle
    this.#options = options
    this.size = size
  }

  /** Opens a file. Throws BackupInvalidError for what is no backup. */
  static async open(file: string, options: ReadingOptions): Promise<FrameReader> {
    const handle = await open(file, 'r').catch((cause: unknown) => {
      throw new BackupInvalidError(file, whyUnreadable(cause), { cause })
    })
    try {
      const { size } = await handle.stat()
      const reader = new FrameReader(file, handle, size, options)
      const found = await reader.#take(magic.length).catch(() => undefined)
      if (found === undefined || !found.equals(magic)) {
        throw new BackupInvalidError(file, 'it does not begin as a backup of this library does')
      }
      await reader.#settings()
      return reader
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Bytes read so far. */
  get bytesRead(): number {
    return this.#at
  }

  get link(): string {
    return this.#link.toString('hex')
  }

  get encrypted(): boolean {
    return this.#packing?.sealing !== undefined
  }

  close(): Promise<void> {
    return this.#handle.close()
  }

  /** The next frame. Throws BackupInvalidError when there is none, or it is not what it was. */
  async next(): Promise<ReadFrame> {
    const header = await this.#take(headerBytes)
    const { kind, storedBytes } = headerOf(this.#file, header)
    const frame: StoredFrame = { header, content: await this.#take(storedBytes) }
    const before = this.#link
    const link = linkOf(before, frame)
    const found = await this.#take(linkBytes)
    if (!found.equals(link) && this.#options.unchecked !== true) {
      const reason = `its checksums do not match from byte ${this.#start(frame)} on: it was altered`
      throw new BackupInvalidError(this.#file, reason)
    }
    this.#link = found
    const place = { number: this.#number, before }
    this.#number += 1
    return { kind, text: unpackFrame(this.#file, frame, place, this.#packing) }
  }

  /** Goes over a frame without looking into it, unless it is of the kind. */
  async skipTo(kind: number): Promise<ReadFrame> {
    for (;;) {
      const at = this.#at
      const header = await this.#take(headerBytes)
      const found = headerOf(this.#file, header)
      if (found.kind === kind) {
        this.#rewind(at)
        return this.next()
      }
      this.#move(this.#at + found.storedBytes)
      this.#link = await this.#take(linkBytes)
      this.#number += 1
    }
  }

  /** Throws unless nothing follows. */
  assertEnd(): void {
    if (this.#at === this.size) return
    throw new BackupInvalidError(this.#file, 'something follows where it ends')
  }

  async #settings(): Promise<void> {
    const { kind, text } = await this.next()
    if (kind !== frameKinds.settings) throw this.#altered()
    const { compression, sealing } = this.#parsed(text, JSON.parse) as {
      readonly compression: Packing['compression']
      readonly sealing: SealingParameters | null
    }
    if (!compressionNames.includes(compression)) throw this.#altered()
    const { passphrase } = this.#options
    if (sealing === null) {
      if (passphrase !== undefined) {
        const reason = 'it is not encrypted, and a passphrase was given: it may be a forgery'
        throw new BackupPassphraseError(
          this.#file,
          `${reason}; leave the passphrase out to take it`,
        )
      }
      this.#packing = { compression, sealing: undefined }
      return
    }
    if (passphrase === undefined) {
      throw new BackupPassphraseError(this.#file, 'it is encrypted; give its passphrase')
    }
    this.#packing = { compression, sealing: await sealingOnce(this.#options, sealing, this.#file) }
  }

  /** What a text of this file holds. Throws BackupInvalidError. */
  #parsed<T>(text: string, parse: (text: string) => T): T {
    return parsed(this.#file, text, parse)
  }

  #altered(): BackupInvalidError {
    return new BackupInvalidError(this.#file, 'its beginning was altered')
  }

  #start({ content }: StoredFrame): number {
    return this.#at - linkBytes - content.length - headerBytes
  }

  async #take(count: number): Promise<Buffer> {
    while (this.#buffer.length < count) {
      const room = Buffer.allocUnsafe(Math.max(READ_BYTES, count - this.#buffer.length))
      const from = this.#at + this.#buffer.length
      const { bytesRead } = await this.#handle.read(room, 0, room.length, from)
      if (bytesRead === 0) throw new BackupInvalidError(this.#file, 'it is cut off at its end')
      this.#buffer = Buffer.concat([this.#buffer, room.subarray(0, bytesRead)])
    }
    const taken = this.#buffer.subarray(0, count)
    this.#buffer = this.#buffer.subarray(count)
    this.#at += count
    return taken
  }

  #move(to: number): void {
    const skipped = to - this.#at
    this.#buffer = this.#buffer.subarray(Math.min(skipped, this.#buffer.length))
    this.#at = to
  }

  #rewind(to: number): void {
    this.#buffer = Buffer.alloc(0)
    this.#at = to
  }
}

/** What a text of a file holds. Throws BackupInvalidError. */
export function parsed<T>(file: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (cause) {
    throw new BackupInvalidError(file, 'a part of it does not hold what it should', { cause })
  }
}

/** The first frame after the settings. */
export async function readBegin(file: string, reader: FrameReader): Promise<BackupBegin> {
  const { kind, text } = await reader.next()
  if (kind !== frameKinds.begin) throw new BackupInvalidError(file, 'its beginning was altered')
  return parsed(file, text, beginOf)
}

/**
 * What a file says of itself, by its beginning and its end alone: whether all between is there is
 * not looked at. Throws BackupInvalidError and BackupPassphraseError.
 */
export async function describeBackup(file: string, options: ReadingOptions): Promise<BackupFile> {
  const reader = await FrameReader.open(file, options)
  try {
    const begin = await readBegin(file, reader)
    const { text } = await reader.skipTo(frameKinds.end)
    reader.assertEnd()
    const end: BackupEnd = parsed(file, text, endOf)
    const { link, encrypted, size } = reader
    return { ...begin, ...end, file, bytes: size, encrypted, link }
  } finally {
    await reader.close()
  }
}

function whyUnreadable(cause: unknown): string {
  const code = (cause as { readonly code?: unknown } | null)?.code
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EACCES' || code === 'EPERM') return 'it may not be read by this user'
  return cause instanceof Error ? cause.message : String(cause)
}
