import { eventsIn, type Fill, type PeerOrder, type PeerPower, peerStreamCount } from './orders.ts'
import type { OwnSide } from './own.ts'
import type { ConsumerWay, Medium } from './peers.ts'

/** Something that the store and its peers are all asked to do. */
export interface Work {
  readonly name: string
  readonly what: string
  readonly media: readonly Medium[]
  readonly power: PeerPower
  readonly fill: Fill
  readonly eventsPerCall: number
  readonly callers: number
  /** Turns within a round, where one is long. */
  readonly turns?: number
  order(calls: number, way: ConsumerWay): PeerOrder
  own(side: OwnSide, calls: number): Promise<void>
  /** What a raw driver does of it. */
  readonly raw?: 'append' | 'load' | 'scan'
  readonly size?: number
  /** All callers at one stream. */
  readonly hot?: boolean
  /** The least ratio to a peer on a medium. */
  goal?(peer: string, medium: Medium): number | undefined
}

const everywhere: readonly Medium[] = ['sqlite', 'postgres', 'memory']
const durable: readonly Medium[] = ['sqlite', 'postgres']

type Goals = Partial<Readonly<Record<Medium, number>>>
const emmett =
  (goals: Goals) =>
  (peer: string, medium: Medium): number | undefined =>
    peer.startsWith('Emmett') ? goals[medium] : undefined

interface Append {
  readonly size?: number
  readonly callers?: number
  readonly hot?: boolean
}

function append(name: string, what: string, how: Append, more: Partial<Work> = {}): Work {
  const { size = 1, callers = 1, hot = false } = how
  return {
    ...{ name, what, media: everywhere, power: 'append', eventsPerCall: size, callers, size, hot },
    fill: { streams: peerStreamCount, perStream: 20, loads: [] },
    order: (calls) => ({ do: 'append', calls, size, callers, hot }),
    own: (side, calls) => side.append(calls, size, callers, hot),
    ...more,
  }
}

function load(count: number, more: Partial<Work> = {}): Work {
  return {
    ...{ name: `load ${count.toLocaleString('en')}`, what: 'an aggregate, read and folded' },
    ...{ media: everywhere, power: 'load', eventsPerCall: count, callers: 1 },
    fill: { streams: peerStreamCount, perStream: 2, loads: [count] },
    order: (calls) => ({ do: 'load', calls, count }),
    own: (side, calls) => side.load(calls, count),
    ...more,
  }
}

/** A log of ten thousand. */
export const log: Fill = { streams: peerStreamCount, perStream: 30, loads: [1000] }
const logCount = eventsIn(log)

function consumer(work: 'pass' | 'project', name: string, what: string): Work {
  return {
    ...{ name, what, power: work, fill: log, eventsPerCall: logCount, callers: 1 },
    turns: 1,
    media: durable,
    order: (calls, { batchSize, pullMs }) => ({
      ...{ do: 'consume', calls, work, upTo: logCount, batchSize, pullMs },
    }),
    own: (side, calls) => side.consume(calls, work),
    goal: emmett({ sqlite: 20, postgres: 20 }),
  }
}

function condition(callers: number): Work {
  return {
    name: `conditional append, ${callers === 1 ? '1 caller' : `${callers} callers`}`,
    what: 'one tagged event under a condition on its type and tag',
    ...{ media: ['postgres'], power: 'condition', eventsPerCall: 1, callers },
    fill: { streams: 0, perStream: 0, loads: [] },
    order: (calls) => ({ do: 'condition', calls, callers }),
    own: (side, calls) => side.condition(calls, callers),
    goal: (peer) => (peer === 'eventsourcing' ? 4 : undefined),
  }
}

/** The workloads of the comparison. One more is one entry here. */
export const works: readonly Work[] = [
  append(
    'append 1',
    'one event to one of 300 streams',
    {},
    {
      raw: 'append',
      goal: emmett({ sqlite: 10, postgres: 2 }),
    },
  ),
  append('append 100', 'a hundred events to one of 300 streams', { size: 100 }, { raw: 'append' }),
  append(
    '32 callers',
    'one event each, to streams of their own',
    { callers: 32 },
    {
      media: durable,
      goal: emmett({ postgres: 8 }),
    },
  ),
  append(
    '32 callers, one stream',
    'one event each, all to the same stream',
    { callers: 32, hot: true },
    {
      media: durable,
    },
  ),
  append(
    '256 callers',
    'one event each, to streams of their own',
    { callers: 256 },
    { media: durable, turns: 1 },
  ),
  load(20, { goal: emmett({ postgres: 2.5 }) }),
  load(1000, { raw: 'load', goal: emmett({ sqlite: 2, postgres: 2.5 }) }),
  load(10_000, { goal: emmett({ postgres: 2.5 }) }),
  {
    ...{ name: 'full scan', what: 'all events in pages of 1,000', media: durable, power: 'scan' },
    ...{ fill: log, eventsPerCall: logCount, callers: 1, raw: 'scan' },
    order: (calls) => ({ do: 'scan', calls, count: logCount }),
    own: (side, calls) => side.scan(calls),
  },
  consumer('pass', 'consumer', 'a durable consumer from the beginning whose handler does nothing'),
  consumer('project', 'projection', 'an asynchronous projection into a document for each customer'),
  condition(1),
  condition(32),
]
