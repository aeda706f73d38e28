import {
  describeOperation,
  isExpected,
  type Operation,
  type StreamHistory,
} from './stream-history.ts'

/**
 * Is one stream's history linearizable? No search is needed, because a log tells more than a
 * register: the final content gives the order of all appends that took effect, and each read or
 * conflict names the version that it saw, so that it belongs between two of them. What is left is
 * to compare these places with real time. Takes n log n; the answer is exact (`linear-search.ts`
 * agrees on small histories).
 */
export function checkStream(history: StreamHistory): string[] {
  const appends = new Appends(history)
  const wrong = [...appends.problems]
  const placed: Placed[] = []
  for (const operation of history.operations) {
    const problem = placeOf(operation, appends, placed)
    if (problem !== undefined) wrong.push(`${describeOperation(operation)}: ${problem}`)
  }
  wrong.push(...appends.addMaybes(placed))
  if (wrong.length === 0) wrong.push(...orderProblems(placed))
  return wrong.map((problem) => `${history.stream}: ${problem}`)
}

/**
 * Places in the order of a stream: the nth append has 2n - 1, what is seen between it and the next
 * one 2n. A call that finds its events stored already may come any time after: `atLeast`.
 */
interface Placed {
  readonly operation: Operation
  place: number
  readonly atLeast: boolean
  readonly endedAt: number
}

interface Group {
  readonly marks: readonly number[]
  /** Operations that may have stored it although nobody said so. */
  readonly maybes: Operation[]
  known: boolean
}

/** The appends of a stream that took effect, in the order of its final content. */
class Appends {
  readonly problems: string[] = []
  readonly #groups = new Map<number, Group>()
  /** By first mark: number of the append and version before it. */
  readonly #stored = new Map<number, { readonly number: number; readonly before: number }>()
  /** Number of the append after which the stream had this version. */
  readonly #boundaries = new Map<number, number>([[0, 0]])
  readonly #final: readonly number[]

  constructor({ operations, final }: StreamHistory) {
    this.#final = final
    for (const { call, outcome } of operations) {
      if (call.kind !== 'append') continue
      const [first = 0] = call.marks
      if (!this.#groups.has(first)) {
        this.#groups.set(first, { marks: call.marks, maybes: [], known: false })
      }
      if (outcome.is === 'stored' && !outcome.duplicate) {
        const group = this.#groups.get(first) as Group
        if (group.known) this.problems.push(`append of ${call.marks.join()} was stored twice`)
        group.known = true
      }
    }
    this.#walk()
  }

  #walk(): void {
    const final = this.#final
    for (let at = 0; at < final.length; ) {
      const mark = final[at] as number
      const group = this.#groups.get(mark)
      if (group === undefined || this.#stored.has(mark)) {
        const why = group === undefined ? 'is where no append begins' : 'is there a second time'
        this.problems.push(`event ${mark} at version ${at + 1} ${why}`)
        return
      }
      const { marks } = group
      if (marks.some((wanted, n) => final[at + n] !== wanted)) {
        this.problems.push(`append of ${marks.join()} is torn at version ${at + 1}`)
        return
      }
      this.#stored.set(mark, { number: this.#stored.size + 1, before: at })
      at += marks.length
      this.#boundaries.set(at, this.#stored.size)
    }
  }

  stored(
    marks: readonly number[],
  ): { readonly number: number; readonly before: number } | undefined {
    return this.#stored.get(marks[0] ?? 0)
  }

  boundary(version: number): number | undefined {
    return this.#boundaries.get(version)
  }

  /** Whether a stream of this version ends with these events. */
  endsWith(version: number, marks: readonly number[]): boolean {
    const from = version - marks.length
    return from >= 0 && marks.every((mark, n) => this.#final[from + n] === mark)
  }

  addMaybe(operation: Operation, marks: readonly number[]): void {
    this.#groups.get(marks[0] ?? 0)?.maybes.push(operation)
  }

  /** What is stored and was never acknowledged: by the earliest call that could have done it. */
  addMaybes(placed: Placed[]): string[] {
    const wrong: string[] = []
    for (const [first, { number, before }] of this.#stored) {
      const group = this.#groups.get(first) as Group
      if (group.known) continue
      const able = group.maybes.filter(
        ({ call }) => call.kind === 'append' && isExpected(call.expected, before),
      )
      const operation = able.sort((a, b) => a.called - b.called)[0]
      if (operation === undefined) {
        wrong.push(`append of ${group.marks.join()} is stored, but no call can have done it`)
      } else {
        const endedAt = Number.POSITIVE_INFINITY
        placed.push({ operation, place: 2 * number - 1, atLeast: false, endedAt })
      }
    }
    return wrong
  }
}

/** Finds the place of an operation, or what is wrong with it. */
function placeOf(operation: Operation, appends: Appends, placed: Placed[]): string | undefined {
  const { call, outcome } = operation
  const endedAt = operation.returned ?? Number.POSITIVE_INFINITY
  const put = (place: number, atLeast = false): undefined => {
    placed.push({ operation, place, atLeast, endedAt })
  }
  if (outcome.is === 'refused') return undefined
  if (call.kind === 'read') {
    if (outcome.is !== 'seen') return undefined
    const { version, marks } = outcome
    const after = appends.boundary(version)
    if (after === undefined) return `no append ends at version ${version}`
    const count = call.last === 'all' ? version : Math.min(call.last, version)
    if (marks.length !== count) return `shows ${marks.length} events, ${count} are there`
    if (!appends.endsWith(version, marks)) return `shows ${marks.join()}, which is not in the log`
    return put(2 * after)
  }
  const stored = appends.stored(call.marks)
  if (outcome.is === 'unknown') {
    appends.addMaybe(operation, call.marks)
    return undefined
  }
  if (outcome.is === 'conflict') {
    const after = appends.boundary(outcome.version)
    if (after === undefined) return `no append ends at version ${outcome.version}`
    if (isExpected(call.expected, outcome.version)) return 'is what was expected'
    if (call.given && stored !== undefined && stored.number <= after) return 'was stored already'
    return put(2 * after)
  }
  if (outcome.is !== 'stored') return 'is no answer to an append'
  if (stored === undefined) return 'is lost'
  if (outcome.version !== stored.before + call.marks.length) {
    return `is at version ${stored.before + call.marks.length}`
  }
  if (outcome.duplicate) {
    return call.given ? put(2 * stored.number, true) : 'is no duplicate without an id'
  }
  if (!isExpected(call.expected, stored.before)) return `came after version ${stored.before}`
  return put(2 * stored.number - 1)
}

/** Who had returned before another was called has no later place. */
function orderProblems(placed: readonly Placed[]): string[] {
  const wrong: string[] = []
  const byEnd = [...placed].sort((a, b) => a.endedAt - b.endedAt)
  let ended = 0
  let latest: Placed | undefined
  for (const next of [...placed].sort((a, b) => a.operation.called - b.operation.called)) {
    for (; (byEnd[ended]?.endedAt ?? Number.POSITIVE_INFINITY) < next.operation.called; ended++) {
      const before = byEnd[ended] as Placed
      if (latest === undefined || before.place > latest.place) latest = before
    }
    if (latest === undefined || latest.place <= next.place) continue
    if (next.atLeast) next.place = latest.place + (latest.place % 2)
    else {
      wrong.push(
        `${describeOperation(next.operation)} was called after ${describeOperation(latest.operation)} had returned, and comes before it`,
      )
    }
  }
  return wrong
}
