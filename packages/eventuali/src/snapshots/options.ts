import { type CodecOptions, InvalidArgumentError } from '../model/index.ts'

/** When states are kept, and how. A state is kept when any of the rules asks for it. */
export interface SnapshotOptions {
  /** After so many events were folded by one load; 100 when no other rule is given. */
  readonly every?: number | undefined
  /** After so many bytes of data (as JSON) were folded by one load. */
  readonly bytes?: number | undefined
  /** When a load took longer than so many milliseconds. */
  readonly loadMs?: number | undefined
  /** When the kept state is older than so many milliseconds, and there are newer events. */
  readonly ageMs?: number | undefined
  /** Only for streams that it is true for; all when left out. */
  readonly streams?: ((stream: string) => boolean) | undefined
  /** States kept of one stream, 1 to 10; 2. */
  readonly keep?: number | undefined
  /** How they are stored: above 1 KB compressed with the best there is, when left out. */
  readonly codec?: CodecOptions | undefined
  /** The share of loads whose kept state is compared with a refold afterwards; 0.001. */
  readonly checkRate?: number | undefined
  /**
   * Kept states that stay in the program's memory once they were read, at most so many bytes of
   * their JSON; none when left out. They are frozen to their depths, since loads share them: code
   * that changes a state in place then throws a TypeError.
   */
  readonly memoryBytes?: number | undefined
}

/** The options in full. */
export interface SnapshotPolicy {
  readonly every: number
  readonly bytes: number
  readonly loadMs: number
  readonly ageMs: number
  readonly streams: (stream: string) => boolean
  readonly keep: number
  readonly codec: CodecOptions
  readonly checkRate: number
  readonly memoryBytes: number
}

const EVERY = 100
const KEEP = 2
/** At most as many states of one stream. */
export const KEEP_MAX = 10
const CHECK_RATE = 0.001

/** Checks the options. Throws InvalidArgumentError. */
export function policyOf(options: SnapshotOptions): SnapshotPolicy {
  const { every, bytes, loadMs, ageMs, keep = KEEP, checkRate = CHECK_RATE } = options
  for (const [name, value] of Object.entries({ every, bytes, loadMs, ageMs })) {
    if (value !== undefined && !(typeof value === 'number' && value > 0)) {
      throw new InvalidArgumentError(`snapshots.${name}`, 'must be above 0')
    }
  }
  if (!Number.isSafeInteger(keep) || keep < 1 || keep > KEEP_MAX) {
    throw new InvalidArgumentError('snapshots.keep', `must be 1 to ${KEEP_MAX}`)
  }
  if (typeof checkRate !== 'number' || !(checkRate >= 0 && checkRate <= 1)) {
    throw new InvalidArgumentError('snapshots.checkRate', 'must be 0 to 1')
  }
  const isNamed = bytes !== undefined || loadMs !== undefined || ageMs !== undefined
  const { memoryBytes = 0 } = options
  if (!Number.isSafeInteger(memoryBytes) || memoryBytes < 0) {
    throw new InvalidArgumentError('snapshots.memoryBytes', 'must be an integer of 0 or more')
  }
  const never = Number.POSITIVE_INFINITY
  return {
    every: every ?? (isNamed ? never : EVERY),
    ...{ bytes: bytes ?? never, loadMs: loadMs ?? never, ageMs: ageMs ?? never },
    ...{ streams: options.streams ?? (() => true), keep, checkRate, memoryBytes },
    codec: options.codec ?? { compress: {} },
  }
}
