import type { Draw } from './history-arbitrary.ts'
import type { RecordedTransaction, TransactionHistory, TransactionStep } from './list-append.ts'

type State = Readonly<Record<string, readonly number[]>>

function run(state: State, steps: readonly TransactionStep[]): State | undefined {
  let now = state
  for (const { does, stream, marks } of steps) {
    const stored = now[stream] ?? []
    if (does === 'append') now = { ...now, [stream]: [...stored, ...marks] }
    else if (stored.join() !== marks.join()) return undefined
  }
  return now
}

/**
 * Is there a serial order that respects real time and explains every read? Tries them all, so for
 * few transactions only: what `list-append.ts` is compared with.
 */
export function checkSerial({ transactions, final }: TransactionHistory): boolean {
  const key = (state: State): string =>
    Object.entries(state)
      .filter(([, marks]) => marks.length > 0)
      .map(([stream, marks]) => `${stream}:${marks.join()}`)
      .sort()
      .join(' ')
  const wanted = key(final)
  const calls = transactions.filter(({ outcome }) => outcome !== 'aborted')
  const endOf = ({ outcome, returned }: RecordedTransaction): number =>
    outcome === 'committed' && returned !== null ? returned : Number.POSITIVE_INFINITY
  const search = (state: State, left: readonly RecordedTransaction[]): boolean => {
    // What is not known may as well never happen.
    const open = left.every(({ outcome }) => outcome === 'unknown')
    if (open && key(state) === wanted) return true
    const firstEnd = Math.min(...left.map(endOf))
    return left.some((transaction) => {
      if (transaction.called > firstEnd) return false
      const next = run(state, transaction.steps)
      return (
        next !== undefined &&
        search(
          next,
          left.filter((other) => other !== transaction),
        )
      )
    })
  }
  return search({}, calls)
}

const streams = ['a', 'b', 'c'] as const

/** A history of up to six transactions that a right store could have had. */
export function drawTransactions(draw: Draw): TransactionHistory {
  const state: Record<string, number[]> = {}
  let mark = 0
  const planned = Array.from({ length: draw(1, 6) }, (_, n) => {
    const called = draw(0, 30)
    const returned = called + draw(1, 20)
    return { n, called, returned, at: called + (returned - called) * (draw(0, 100) / 100) }
  }).sort((a, b) => a.at - b.at)
  const transactions = planned.map(({ n, called, returned }): RecordedTransaction => {
    const outcome = (['committed', 'committed', 'committed', 'unknown', 'aborted'] as const)[
      draw(0, 4)
    ]
    const happens = outcome === 'committed' || (outcome === 'unknown' && draw(0, 1) === 0)
    const seen: Record<string, number[]> = structuredClone(state)
    const steps = Array.from({ length: draw(1, 3) }, (): TransactionStep => {
      const stream = streams[draw(0, 2)] ?? 'a'
      if (draw(0, 1) === 0) return { does: 'read', stream, marks: [...(seen[stream] ?? [])] }
      const marks = Array.from({ length: draw(1, 2) }, () => ++mark)
      seen[stream] = [...(seen[stream] ?? []), ...marks]
      return { does: 'append', stream, marks }
    })
    if (happens) Object.assign(state, seen)
    return { name: `t${n}`, called, returned, steps, outcome: outcome ?? 'committed' }
  })
  return { transactions, final: state }
}

/** Falsifies a history in one place; it may be a right one still. */
export function falsifyTransactions(history: TransactionHistory, draw: Draw): TransactionHistory {
  const transactions = [...history.transactions]
  const at = draw(0, transactions.length - 1)
  const old = transactions[at] as RecordedTransaction
  const way = draw(0, 3)
  if (way === 0) {
    const shift = draw(-25, 25)
    const { called, returned } = old
    transactions[at] = { ...old, called: called + shift, returned: (returned ?? 0) + shift }
  } else if (way === 1) {
    const steps = old.steps.map((step): TransactionStep => {
      if (step.does === 'append' || draw(0, 1) === 0) return step
      // An earlier state of the stream, or a later one.
      const log = history.final[step.stream] ?? []
      return { ...step, marks: log.slice(0, draw(0, log.length)) }
    })
    transactions[at] = { ...old, steps }
  } else if (way === 2) {
    transactions[at] = { ...old, outcome: draw(0, 1) === 0 ? 'committed' : 'aborted' }
  } else {
    const stream = streams[draw(0, 2)] ?? 'a'
    const log = [...(history.final[stream] ?? [])]
    log.push(...log.splice(draw(0, log.length), draw(0, 1)))
    if (draw(0, 1) === 0) log.pop()
    return { ...history, final: { ...history.final, [stream]: log } }
  }
  return { ...history, transactions }
}
