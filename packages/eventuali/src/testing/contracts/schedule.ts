import { type CommandRuntime, defaultRetryPolicy } from '../../commands/index.ts'
import { type Clock, seededRandom, systemClock, uuidV7Source } from '../../kernel/index.ts'
import { eventRegistry } from '../../model/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { appendTo, Processes } from '../../processes/index.ts'
import { Worker } from '../../subscriptions/index.ts'

/** Durable schedules in one program: what the schedule contract is about. */
export interface ScheduleService {
  /** Begins to fire what falls due by itself. */
  start(): Promise<void>
  /** Appends `{ type: 'Rang', data: null }` at a moment. The same name again takes its place. */
  at(name: string, moment: Date, stream: string): Promise<void>
  /** The same at each moment of a cron pattern. */
  every(name: string, pattern: string, timeZone: string, stream: string): Promise<void>
  /** Takes a schedule back; nothing happens when there is none. */
  cancel(name: string): Promise<void>
  /** When it comes next; undefined when there is none. */
  due(name: string): Promise<Date | undefined>
  /** Does all that is due now, started or not, and resolves when nothing is left. */
  settle(): Promise<void>
  stop(): Promise<void>
}

/** Opens the schedules of a store in one program. */
export type OpenSchedules = (store: EventStore, clock: Clock) => ScheduleService

/** What commands run on, for tests: quick, with ids that nobody else has. */
export function testRuntime(clock: Clock): CommandRuntime {
  const random = seededRandom(Math.trunc(systemClock.monotonic() * 1000))
  return {
    ...{ clock, random, ids: uuidV7Source(systemClock, random), unknown: 'allow' },
    ...{ registry: eventRegistry(), retry: defaultRetryPolicy },
  }
}

/** Bounds that make processes quick in tests. */
export const quickLimits = {
  pollIntervalMs: 20,
  retry: { retryCountMax: 2, firstDelayMs: 1, delayMaxMs: 2 },
} as const

/**
 * The schedules of `store.schedules`, over the records of any store.
 *
 * @example
 * ```ts
 * import { manualClock, openMemoryStore, openSchedules } from 'eventuali/testing'
 *
 * const clock = manualClock(new Date('2026-01-01T00:00:00Z'))
 * const schedules = openSchedules(await openMemoryStore(), clock)
 * await schedules.at('tea', new Date('2026-01-01T16:00:00Z'), 'kitchen')
 * console.log(await schedules.due('tea')) // 2026-01-01T16:00:00.000Z
 * ```
 */
export const openSchedules: OpenSchedules = (store, clock) => {
  const runtime = testRuntime(clock)
  const worker = new Worker(store, runtime, { ttlMs: 200 })
  const processes = new Processes(store, worker, [], runtime, quickLimits)
  const { schedules } = processes
  const ring = (stream: string) => appendTo(stream, { type: 'Rang', data: null })
  return {
    start: () => processes.start(),
    at: async (name, moment, stream) => void (await schedules.at(name, moment, ring(stream))),
    every: async (name, pattern, timeZone, stream) =>
      void (await schedules.every(name, pattern, ring(stream), { timeZone })),
    cancel: async (name) => void (await schedules.cancel(name)),
    due: async (name) => (await schedules.get(name))?.dueAt,
    settle: () => processes.settle(),
    stop: async () => {
      await processes.stop()
      await worker.stop()
    },
  }
}
