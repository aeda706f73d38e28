import { isExpected, type Operation, type StreamHistory } from './stream-history.ts'

/** The most calls of one stream that the search takes on. */
export const searchCountMax = 2000

type State = readonly number[]

/** What a call makes of a stream; undefined when the stream would have answered otherwise. */
function step(state: State, { call, outcome }: Operation): State | undefined {
  if (call.kind === 'read') {
    if (outcome.is !== 'seen') return state
    const shown = call.last === 'all' ? state : call.last === 0 ? [] : state.slice(-call.last)
    const same = outcome.version === state.length && sameMarks(shown, outcome.marks)
    return same ? state : undefined
  }
  const known = call.given ? state.indexOf(call.marks[0] as number) : -1
  if (known !== -1) {
    if (outcome.is === 'unknown') return state
    const right = outcome.is === 'stored' && outcome.duplicate
    return right && outcome.version === known + call.marks.length ? state : undefined
  }
  if (!isExpected(call.expected, state.length)) {
    if (outcome.is === 'unknown') return state
    return outcome.is === 'conflict' && outcome.version === state.length ? state : undefined
  }
  const next = [...state, ...call.marks]
  if (outcome.is === 'unknown') return next
  const right = outcome.is === 'stored' && !outcome.duplicate && outcome.version === next.length
  return right ? next : undefined
}

function sameMarks(a: State, b: State): boolean {
  return a.length === b.length && a.every((mark, n) => mark === b[n])
}

/**
 * Wing and Gong's search for a linearization, with Lowe's memory of what was tried: any order that
 * respects real time and that a stream could have answered so. Knows nothing of logs, which is its
 * worth: it checks the checker. Exponential at worst.
 */
export function isLinearizable({ operations, final }: StreamHistory): boolean {
  const never = Number.POSITIVE_INFINITY
  const end = operations.reduce((last, o) => Math.max(last, o.called, o.returned ?? 0), 0) + 1
  const last: Operation = {
    ...{ client: 'final', stream: '', called: end, returned: end + 1 },
    call: { kind: 'read', last: 'all' },
    outcome: { is: 'seen', version: final.length, marks: final },
  }
  // What was refused took no effect; what is not known may take effect whenever, so also never.
  const calls = [...operations.filter(({ outcome }) => outcome.is !== 'refused'), last]
    .map((operation) => {
      const open = operation.outcome.is === 'unknown' || operation.returned === null
      return { operation, endedAt: open ? never : (operation.returned as number) }
    })
    .sort((a, b) => a.operation.called - b.operation.called)
  if (calls.length > searchCountMax) throw new Error(`${calls.length} calls are too many to search`)
  const done = calls.map(() => false)
  const tried = new Set<string>()
  const search = (state: State, left: number): boolean => {
    if (left === 0) return true
    const key = `${done.map(Number).join('')} ${state.join()}`
    if (tried.has(key)) return false
    tried.add(key)
    // Whoever was called before the first of those left has returned may be the next.
    let firstEnd = never
    for (const [n, { endedAt }] of calls.entries()) {
      if (!done[n]) firstEnd = Math.min(firstEnd, endedAt)
    }
    for (const [n, { operation }] of calls.entries()) {
      if (operation.called > firstEnd) break
      if (done[n]) continue
      const next = step(state, operation)
      if (next === undefined) continue
      done[n] = true
      if (search(next, left - 1)) return true
      done[n] = false
    }
    return false
  }
  return search([], calls.length)
}
