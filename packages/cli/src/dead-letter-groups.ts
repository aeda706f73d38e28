import type { DeadLetter } from 'eventuali'

/** Dead letters of a subscription that have one cause. */
export interface LetterGroup {
  readonly subscription: string
  /** The error as people read it. */
  readonly cause: string
  readonly code: string
  readonly count: number
  readonly attemptsMax: number
  readonly firstParkedAt: Date
  readonly lastParkedAt: Date
  /** Types of the events. */
  readonly types: readonly string[]
  /** Id of the first one. */
  readonly example: string
}

/** Causes are told apart up to this many; the rest counts as one more of the same subscription. */
const GROUP_COUNT_MAX = 1000
const FOLLOWS = 'waits behind an earlier one of its key'
const MORE = 'other causes'

/** What differs from one event to the next says nothing about the cause: numbers and ids. */
function causeOf({ reason, error }: DeadLetter): string {
  if (reason === 'follows' || error === null) return FOLLOWS
  const message = error.message
    .replace(/[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}/gi, '<id>')
    .replace(/\d+/g, '<n>')
  return `${error.name}: ${message}`
}

type Growing = { -readonly [Key in keyof LetterGroup]: LetterGroup[Key] }

function grown(group: Growing, letter: DeadLetter): void {
  group.count++
  group.attemptsMax = Math.max(group.attemptsMax, letter.attempts)
  if (letter.parkedAt < group.firstParkedAt) group.firstParkedAt = letter.parkedAt
  if (letter.parkedAt > group.lastParkedAt) group.lastParkedAt = letter.parkedAt
  if (!group.types.includes(letter.type)) group.types = [...group.types, letter.type]
}

/** Groups letters by what went wrong, the most frequent first. */
export async function lettersByCause(
  pages: AsyncIterable<readonly DeadLetter[]>,
  signal: AbortSignal,
): Promise<readonly LetterGroup[]> {
  const groups = new Map<string, Growing>()
  for await (const page of pages) {
    signal.throwIfAborted()
    for (const letter of page) {
      const { subscription, error, attempts, parkedAt, type, id } = letter
      let cause = causeOf(letter)
      let key = JSON.stringify([subscription, cause, error?.code ?? ''])
      if (!groups.has(key) && groups.size >= GROUP_COUNT_MAX) {
        cause = MORE
        key = JSON.stringify([subscription, cause])
      }
      const group = groups.get(key)
      if (group !== undefined) {
        grown(group, letter)
        continue
      }
      groups.set(key, {
        ...{ subscription, cause, code: error?.code ?? '', count: 1, attemptsMax: attempts },
        ...{ firstParkedAt: parkedAt, lastParkedAt: parkedAt, types: [type], example: id },
      })
    }
  }
  return [...groups.values()].sort((a, b) => b.count - a.count)
}
