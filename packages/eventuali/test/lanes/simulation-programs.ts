import {
  defineOutbox,
  isEventualiError,
  openStore,
  type RecordedEvent,
  type Store,
} from '../../src/index.ts'
import type { Machine, Simulation } from '../../src/testing/index.ts'
import { Fulfilment, orderEvents } from './process-orders.ts'
import { asyncTally, inlineTally, worldEvents } from './simulation-domain.ts'
import { Follower, type TrueLog } from './simulation-log.ts'

/** What programs of a run do beside appending; each seed takes some. */
export const partNames = [
  ...['single', 'group', 'transactional', 'poison', 'projection', 'inline'],
  ...['process', 'outbox', 'snapshots'],
] as const
export type Part = (typeof partNames)[number]

export const CALL_TIMEOUT_MS = 1000
const LEASE_TTL_MS = 300
const POLL_INTERVAL_MS = 250
/** Every so manieth note is one that the poisoned handler cannot cope with. */
const POISON_EVERY = 11

export const isPoison = ({ data }: Pick<RecordedEvent, 'data'>): boolean =>
  (data as { n: number }).n % POISON_EVERY === 0

/** The durable consumers of a run, and what they have seen: outside of all machines. */
export class Consumers {
  readonly single: Follower
  readonly group: Follower
  readonly poison: Follower
  /** Message ids of the events that went out. */
  readonly sent = new Map<string, Set<string>>()
  isFixed = false
  readonly #world: Simulation

  constructor(world: Simulation, log: TrueLog) {
    this.#world = world
    const isNote = ({ type }: RecordedEvent) => type === 'Noted'
    const byStream = ({ stream }: RecordedEvent) => stream
    const all = (event: RecordedEvent) => !event.type.startsWith('$')
    this.single = new Follower('the subscriber', world, log, all)
    this.group = new Follower('the group', world, log, isNote, byStream)
    this.poison = new Follower('the poisoned subscriber', world, log, isNote, byStream)
  }

  /** Starts the parts of a run in a program. */
  async start(machine: Machine, store: Store, parts: ReadonlySet<Part>): Promise<void> {
    const common = {
      pollIntervalMs: POLL_INTERVAL_MS,
      retry: { retryCountMax: 1, firstDelayMs: 1, delayMaxMs: 10 },
    }
    const slowly = async () => {
      if (this.#world.chance(0.05)) await wait(machine, this.#world.random.next() * 100)
    }
    if (parts.has('single')) {
      store.subscribe({ ...common, name: 'single', types: userTypes }, async (event) => {
        await slowly()
        await this.single.saw(event)
      })
    }
    if (parts.has('group')) {
      const group = { partitions: 4 }
      store.subscribe({ ...common, name: 'group', types: ['Noted'], group }, async (event) => {
        await slowly()
        await this.group.saw(event)
      })
    }
    if (parts.has('transactional')) this.#startEchoes(machine, store, common)
    if (parts.has('poison')) {
      const options = { ...common, name: 'poison', types: ['Noted'], onPoison: 'park-key' } as const
      store.subscribe(options, async (event) => {
        if (!this.isFixed && isPoison(event)) throw new RangeError('poison')
        await this.poison.saw(event)
      })
    }
    const starts = [
      ...(parts.has('outbox') ? [() => store.relay(this.#outbox)] : []),
      ...(parts.has('projection') || parts.has('inline') ? [() => store.projections.start()] : []),
      ...(parts.has('process') ? [() => store.processes.start()] : []),
    ]
    for (const begin of starts) await untilDone(machine, begin)
  }

  /** An event of its own for each order, without an id: its transaction alone keeps it single. */
  #startEchoes(machine: Machine, store: Store, common: object): void {
    store.subscribe(
      { ...common, name: 'echo', types: ['Placed'], transactional: true },
      async ({ data, id }, { tx }) => {
        const { order } = data as { order: string }
        await tx?.append(`echo-${order}`, worldEvents.Echoed({ of: id }))
        if (this.#world.chance(0.1)) await wait(machine, this.#world.random.next() * 30)
      },
    )
  }

  readonly #outbox = defineOutbox({
    name: 'mails',
    from: { types: ['Placed'] },
    after: 0,
    maxBatch: 4,
    retry: { retryCountMax: 1000, firstDelayMs: 1, delayMaxMs: 10 },
    deliver: (messages) => {
      if (this.#world.chance(0.05)) throw new Error('the receiver does not answer')
      for (const { id, event } of messages) {
        this.sent.set(event.id, (this.sent.get(event.id) ?? new Set()).add(id))
      }
      if (this.#world.chance(0.05)) throw new Error('the answer is lost')
    },
  })
}

const userTypes = [
  ...Object.keys(worldEvents),
  ...Object.keys(orderEvents),
  ...['Added'],
] as readonly string[]

/** Waits by a machine's clock. */
export function wait({ clock }: Machine, ms: number): Promise<void> {
  return new Promise((resolve) => clock.timer(ms, resolve))
}

/** A program on a machine, with the parts of the run; undefined when it crashed at its start. */
export async function startProgram(
  machine: Machine,
  parts: ReadonlySet<Part>,
  consumers: Consumers,
): Promise<Store | undefined> {
  const { clock, random, ids, port } = machine
  const store = await openStore(port, {
    ...{ clock, random, ids, schemas: false, unknown: 'allow', timeoutMs: CALL_TIMEOUT_MS },
    projections: [
      ...(parts.has('projection') ? [asyncTally] : []),
      ...(parts.has('inline') ? [inlineTally] : []),
    ],
    processes: parts.has('process') ? [Fulfilment] : [],
    snapshots: parts.has('snapshots') ? { every: 4, keep: 2, checkRate: 0.1 } : undefined,
    leaseTtlMs: LEASE_TTL_MS,
  })
  const starting = consumers.start(machine, store, parts)
  return Promise.race([starting.then(() => store), machine.gone.then(() => undefined)])
}

/** Again as long as the store does not answer. */
async function untilDone(machine: Machine, work: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await work()
      return
    } catch (error) {
      if (!isEventualiError(error)) throw error
      await wait(machine, 50)
    }
  }
}
