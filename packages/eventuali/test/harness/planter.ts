import type { VerifyProblem } from '../../src/index.ts'
import type { Campaign } from './campaign.ts'

/** One statement with its values, as both databases take them: `$1`, `$2`, … */
export type Sql = (text: string, ...values: readonly unknown[]) => Promise<readonly Row[]>

/** A row by column. */
export type Row = Readonly<Record<string, unknown>>

/** A store that faults are planted in, as raw SQL sees it. */
export interface Bed {
  readonly adapter: 'sqlite' | 'postgres'
  readonly sql: Sql
  /** Names that differ. */
  readonly names: {
    readonly events: string
    readonly streams: string
    readonly types: string
    readonly tags: string
    readonly records: string
    /** Columns of events. */
    readonly stream: string
    readonly type: string
    /** Column of tags. */
    readonly tagType: string
    /** In front of the name of a read model's table. */
    readonly models: string
  }
  /** Changes the counter of positions. */
  setCounter(position: number): Promise<void>
}

/** A fault that was planted. */
export interface Planted {
  /** What was done, in words. */
  readonly name: string
  /** What it touches: no two of one round touch the same. */
  readonly subjects: readonly string[]
  /** Whether a problem names the fault and its place. */
  isFoundBy(problem: VerifyProblem): boolean
  /** Whether a problem follows from it, wherever it shows. */
  mayCause(problem: VerifyProblem): boolean
}

/** Plants one kind of fault; undefined when the store has no place for it. */
export interface Planter {
  readonly name: string
  /** Whether read models must be folded again to find it. */
  readonly refolds: boolean
  /** Left out where the other store has no such thing. */
  readonly only?: Bed['adapter']
  plant(run: Campaign, bed: Bed, taken: ReadonlySet<string>): Promise<Planted | undefined>
}

/** Anything that a damaged stream brings with it. */
export function followsStream(stream: string): Planted['mayCause'] {
  return (problem) =>
    problem.stream === stream ||
    // A changed event folds to something else, or cannot be folded at all.
    problem.kind === 'read-model' ||
    problem.kind === 'count'
}

/** Another digit or letter in the place of one. */
export function changedText(run: Campaign, text: string): string | undefined {
  const places = [...text.matchAll(/[a-z0-9]/gi)].map(({ index }) => index)
  if (places.length === 0) return undefined
  const at = run.pick(places)
  const old = text[at] as string
  // No leading zero, and no word of JSON: the text stays JSON most of the time.
  const other = /\d/.test(old) ? String((Number(old) % 8) + 1) : old === 'x' ? 'y' : 'x'
  const fresh = other === old ? '9' : other
  return text.slice(0, at) + fresh + text.slice(at + 1)
}

/** What a round's problems say of its faults. */
export interface Verdict {
  /** Names of faults that no problem names. */
  readonly missed: readonly string[]
  /** Problems that no fault explains. */
  readonly stray: readonly VerifyProblem[]
}

export function judge(planted: readonly Planted[], problems: readonly VerifyProblem[]): Verdict {
  const missed = planted.filter((fault) => !problems.some((problem) => fault.isFoundBy(problem)))
  const stray = problems.filter(
    (problem) => !planted.some((fault) => fault.isFoundBy(problem) || fault.mayCause(problem)),
  )
  return { missed: missed.map(({ name }) => name), stray }
}
