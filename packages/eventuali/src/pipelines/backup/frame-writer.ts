import { type FileHandle, open } from 'node:fs/promises'
import {
  firstLink,
  frameBytes,
  frameKinds,
  linkOf,
  magic,
  type Packing,
  packFrame,
} from './frames.ts'

/** Writes the frames of one file, each linked to the one before. */
export class FrameWriter {
  readonly #handle: FileHandle
  #packing: Packing | undefined
  #link: Buffer = firstLink()
  #number = 0
  #lines: string[] = []
  #gathered = 0
  #kind: number = frameKinds.events
  bytes = 0

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  /** Makes the file, which must not be there. */
  static async create(file: string): Promise<FrameWriter> {
    const writer = new FrameWriter(await open(file, 'wx', 0o600))
    await writer.#put(magic)
    return writer
  }

  /** The link of the last frame, in hex. */
  get link(): string {
    return this.#link.toString('hex')
  }

  /** From here on contents are packed. */
  pack(packing: Packing): void {
    this.#packing = packing
  }

  /** One frame of its own. */
  async frame(kind: number, text: string): Promise<void> {
    const place = { number: this.#number, before: this.#link }
    const frame = packFrame(kind, text, place, this.#packing)
    this.#link = linkOf(this.#link, frame)
    this.#number += 1
    await this.#put(Buffer.concat([frame.header, frame.content, this.#link]))
  }

  /** A line, which shares its frame with others of the kind. */
  async line(kind: number, line: string): Promise<void> {
    if (kind !== this.#kind) await this.flush()
    this.#kind = kind
    this.#lines.push(line)
    this.#gathered += line.length
    if (this.#gathered >= frameBytes) await this.flush()
  }

  /** Writes the lines that wait for others. */
  async flush(): Promise<void> {
    if (this.#lines.length === 0) return
    const text = this.#lines.join('\n')
    this.#lines = []
    this.#gathered = 0
    await this.frame(this.#kind, text)
  }

  /** What was written so far is on disk. */
  sync(): Promise<void> {
    return this.#handle.sync()
  }

  /** On disk, and closed. */
  async finish(): Promise<void> {
    await this.sync()
    await this.#handle.close()
  }

  /** Closes it as it is; what waits for others goes with it where somebody goes on with it. */
  async abandon(isKept: boolean): Promise<void> {
    if (isKept) await this.flush().catch(() => {})
    await this.#handle.close().catch(() => {})
  }

  async #put(bytes: Buffer): Promise<void> {
    for (let from = 0; from < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, from)
      from += bytesWritten
    }
    this.bytes += bytes.length
  }
}
