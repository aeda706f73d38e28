import { cycleIn, type Edge, type EdgeKind } from './cycles.ts'
import type { FinalStreams } from './stream-history.ts'

/** One read or append of a transaction; a read saw the whole stream. */
export type TransactionStep =
  | { readonly does: 'read'; readonly stream: string; readonly marks: readonly number[] }
  | { readonly does: 'append'; readonly stream: string; readonly marks: readonly number[] }

/** A transaction over several streams, from when it was begun until the caller was told. */
export interface RecordedTransaction {
  readonly name: string
  readonly called: number
  readonly returned: number | null
  readonly steps: readonly TransactionStep[]
  readonly outcome: 'committed' | 'aborted' | 'unknown'
}

export interface TransactionHistory {
  readonly transactions: readonly RecordedTransaction[]
  readonly final: FinalStreams
}

interface Node {
  readonly of: RecordedTransaction
  readonly number: number
}

/**
 * Is a history of transactions strictly serializable? After Elle's idea: since lists only grow, the
 * final content tells the order of all writes, and each read tells which write it came after. From
 * that follow dependencies between transactions (write-write, write-read, read-write, real time),
 * and a history that some serial order explains has no cycle of them.
 */
export function checkTransactions(history: TransactionHistory): string[] {
  const wrong: string[] = []
  const nodes = effective(history, wrong)
  const writers = writersOf(nodes, history, wrong)
  const edges: Edge[] = []
  for (const [stream, order] of writers) {
    for (let n = 1; n < order.length; n++) {
      edges.push(edge(order[n - 1]?.node, order[n]?.node, 'ww', stream))
    }
  }
  for (const { of, number } of nodes) {
    const own = new Map<string, number>()
    for (const { does, stream, marks } of of.steps) {
      const already = own.get(stream) ?? 0
      if (does === 'append') {
        own.set(stream, already + marks.length)
        continue
      }
      const seen = marks.length - already
      const order = writers.get(stream) ?? []
      const problem = readProblem(history, order, { of, stream, marks, already, number })
      if (problem !== undefined) wrong.push(problem)
      else {
        const next = order.findIndex(({ end }) => end > seen)
        const last = next === -1 ? order.at(-1) : order[next - 1]
        if (last !== undefined) edges.push(edge(last.node, number, 'wr', stream))
        if (next !== -1) edges.push(edge(number, order[next]?.node, 'rw', stream))
      }
    }
  }
  if (wrong.length > 0) return wrong
  edges.push(...realTime(nodes))
  const cycle = cycleIn(edges.filter(({ from, to }) => from !== to))
  if (cycle === undefined) return []
  const name = (n: number): string => nodes[n]?.of.name ?? 'time'
  const path = cycle.filter(({ to, kind }) => kind !== 'time' || nodes[to] !== undefined)
  const text = path.map(
    ({ from, to, kind, stream }) => `${name(from)} -${kind} ${stream}-> ${name(to)}`,
  )
  return [`cycle: ${text.join(', ')}`]
}

function edge(
  from: number | undefined,
  to: number | undefined,
  kind: EdgeKind,
  stream: string,
): Edge {
  return { from: from ?? 0, to: to ?? 0, kind, stream }
}

/** The transactions that took effect: the committed ones, and of the unknown ones those found. */
function effective({ transactions, final }: TransactionHistory, wrong: string[]): Node[] {
  const stored = new Set<string>()
  for (const [stream, marks] of Object.entries(final)) {
    for (const mark of marks) {
      if (stored.has(`${stream} ${mark}`)) wrong.push(`${stream}: event ${mark} is there twice`)
      stored.add(`${stream} ${mark}`)
    }
  }
  const nodes: Node[] = []
  for (const of of transactions) {
    const appended = of.steps.flatMap((step) =>
      step.does === 'append' ? step.marks.map((mark) => `${step.stream} ${mark}`) : [],
    )
    const count = appended.filter((key) => stored.has(key)).length
    if (count !== 0 && count !== appended.length) {
      wrong.push(`${of.name}: ${count} of its ${appended.length} events are stored`)
    } else if (of.outcome === 'committed' && count !== appended.length) {
      wrong.push(`${of.name}: committed and lost`)
    } else if (of.outcome === 'aborted' && count > 0) {
      wrong.push(`${of.name}: aborted and stored`)
    } else if (of.outcome === 'committed' || (of.outcome === 'unknown' && count > 0)) {
      nodes.push({ of, number: nodes.length })
    }
  }
  return nodes
}

interface Written {
  readonly node: number
  /** The stream's version after it. */
  readonly end: number
}

/** Who wrote each stream, in order; one entry for all that a transaction wrote to it. */
function writersOf(
  nodes: readonly Node[],
  { final }: TransactionHistory,
  wrong: string[],
): Map<string, Written[]> {
  const authors = new Map<string, number>()
  const written = new Map<string, number[]>()
  for (const { of, number } of nodes) {
    for (const { does, stream, marks } of of.steps) {
      if (does !== 'append') continue
      const key = `${number} ${stream}`
      written.set(key, [...(written.get(key) ?? []), ...marks])
      for (const mark of marks) authors.set(`${stream} ${mark}`, number)
    }
  }
  const writers = new Map<string, Written[]>()
  for (const [stream, log] of Object.entries(final)) {
    const order: Written[] = []
    for (let at = 0; at < log.length; ) {
      const node = authors.get(`${stream} ${log[at]}`)
      const marks = written.get(`${node} ${stream}`) ?? []
      if (node === undefined) wrong.push(`${stream}: event ${log[at]} comes from no transaction`)
      else if (marks.some((mark, n) => log[at + n] !== mark)) {
        wrong.push(`${nodes[node]?.of.name}: ${marks.join()} is not together in ${stream}`)
      } else order.push({ node, end: at + marks.length })
      at += Math.max(1, marks.length)
    }
    writers.set(stream, order)
  }
  return writers
}

interface Read {
  readonly of: RecordedTransaction
  readonly stream: string
  readonly marks: readonly number[]
  /** How many events of its own the transaction had appended before. */
  readonly already: number
  readonly number: number
}

function readProblem(
  { final }: TransactionHistory,
  order: readonly Written[],
  { of, stream, marks, already, number }: Read,
): string | undefined {
  const log = final[stream] ?? []
  if (marks.some((mark, n) => mark !== log[n])) {
    return `${of.name}: saw ${marks.join()} in ${stream}, which never was`
  }
  for (const [n, { node, end }] of order.entries()) {
    const start = order[n - 1]?.end ?? 0
    const inside = start < marks.length && marks.length < end
    if (node !== number) {
      if (inside) return `${of.name}: saw a part of another in ${stream}`
    } else if (marks.length > start && marks.length !== start + already) {
      return `${of.name}: saw what it appended later to ${stream}`
    } else if (already > 0 && marks.length <= start) {
      return `${of.name}: does not see its own events in ${stream}`
    }
  }
  return undefined
}

/** Real time as a chain of moments, so that it takes 2n edges and not n times n. */
function realTime(nodes: readonly Node[]): Edge[] {
  const ended = nodes
    .filter(({ of }) => of.outcome === 'committed' && of.returned !== null)
    .sort((a, b) => (a.of.returned as number) - (b.of.returned as number))
  const moment = (n: number): number => nodes.length + n
  const edges = ended.flatMap(({ number }, n) => [
    edge(number, moment(n), 'time', ''),
    ...(n === 0 ? [] : [edge(moment(n - 1), moment(n), 'time', '')]),
  ])
  let passed = 0
  for (const { of, number } of [...nodes].sort((a, b) => a.of.called - b.of.called)) {
    while ((ended[passed]?.of.returned ?? Number.POSITIVE_INFINITY) < of.called) passed++
    if (passed > 0) edges.push(edge(moment(passed - 1), number, 'time', ''))
  }
  return edges
}
