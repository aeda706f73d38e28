import assert from 'node:assert/strict'
import { type Clock, seededRandom, systemClock } from '../../kernel/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { withFault } from '../faults.ts'
import { type EventStoreContext, law, pause } from './context.ts'
import { type Contract, type ContractCase, defineContract } from './contract.ts'
import { type OpenSchedules, openSchedules, type ScheduleService } from './schedule.ts'
import { counting, fresh } from './steps.ts'

const minute = 60_000
const zone = 'Europe/Berlin'
const RING_MS_MAX = 20_000

/** Schedules under test, a wall clock that the case moves, and what has rung. */
class ScheduleStage {
  readonly clock: Clock
  readonly #ctx: EventStoreContext
  readonly #open: OpenSchedules
  readonly #services: ScheduleService[] = []
  readonly #names = new Set<string>()
  #offset = 0

  constructor(ctx: EventStoreContext, open: OpenSchedules) {
    this.#ctx = ctx
    this.#open = open
    const { monotonic, timer } = systemClock
    this.clock = { monotonic, timer, now: () => Math.trunc(this.#offset + monotonic()) }
  }

  set(moment: string): void {
    this.#offset = new Date(moment).getTime() - systemClock.monotonic()
  }

  add(ms: number): void {
    this.#offset += ms
  }

  /** A moment from now on. */
  in(ms: number): Date {
    return new Date(this.clock.now() + ms)
  }

  /** A name that is taken back when the case has ended. */
  name(): string {
    const name = fresh('s')
    this.#names.add(name)
    return name
  }

  /** A program with its schedules. */
  async open(): Promise<ScheduleService> {
    const service = this.#open(this.#ctx.store, this.clock)
    this.#services.push(service)
    await service.start()
    return service
  }

  unstarted(store: EventStore): ScheduleService {
    return this.#open(store, this.clock)
  }

  async close(service: ScheduleService): Promise<void> {
    this.#services.splice(this.#services.indexOf(service), 1)
    await service.stop()
  }

  /** How often it has rung in a stream. */
  async rung(stream: string): Promise<number> {
    return (await this.#ctx.info(stream))?.version ?? 0
  }

  async end(): Promise<void> {
    const service = this.#services[0] ?? (await this.open())
    for (const name of this.#names) await service.cancel(name)
    for (const one of [...this.#services]) await this.close(one)
  }
}

type Play = (stage: ScheduleStage, ctx: EventStoreContext) => Promise<void>

const comesOnce: Play = async (stage) => {
  const [service, name, stream] = [await stage.open(), stage.name(), fresh('bell')]
  const moment = stage.in(10 * minute)
  await service.at(name, moment, stream)
  assert.deepEqual(await service.due(name), moment)
  stage.add(9 * minute)
  await service.settle()
  assert.equal(await stage.rung(stream), 0)
  stage.add(2 * minute)
  await service.settle()
  assert.equal(await stage.rung(stream), 1)
  assert.equal(await service.due(name), undefined)
  stage.add(60 * minute)
  await service.settle()
  assert.equal(await stage.rung(stream), 1)
}

const byItself: Play = async (stage) => {
  const [service, name, stream] = [await stage.open(), stage.name(), fresh('bell')]
  await service.at(name, stage.in(minute), stream)
  stage.add(2 * minute)
  const endMs = systemClock.monotonic() + RING_MS_MAX
  while ((await stage.rung(stream)) === 0) {
    assert.ok(systemClock.monotonic() < endMs, `nothing rang in ${RING_MS_MAX} ms`)
    await pause(5)
  }
}

const takenBack: Play = async (stage) => {
  const [service, stream] = [await stage.open(), fresh('bell')]
  const [once, again, never] = [stage.name(), stage.name(), stage.name()]
  await service.at(once, stage.in(minute), stream)
  await service.every(again, '*/5 * * * *', zone, stream)
  await service.cancel(once)
  await service.cancel(again)
  await service.cancel(never)
  assert.deepEqual([await service.due(once), await service.due(again)], [undefined, undefined])
  stage.add(30 * minute)
  await service.settle()
  assert.equal(await stage.rung(stream), 0)
}

const takesItsPlace: Play = async (stage) => {
  const [service, name, stream] = [await stage.open(), stage.name(), fresh('bell')]
  await service.at(name, stage.in(minute), stream)
  const later = stage.in(30 * minute)
  await service.at(name, later, stream)
  assert.deepEqual(await service.due(name), later)
  stage.add(2 * minute)
  await service.settle()
  assert.equal(await stage.rung(stream), 0)
  stage.add(30 * minute)
  await service.settle()
  assert.equal(await stage.rung(stream), 1)
}

const afterARestart: Play = async (stage) => {
  const [once, again] = [fresh('once'), fresh('again')]
  const before = await stage.open()
  stage.set('2026-03-02T10:01:00Z')
  await before.at(stage.name(), stage.in(10 * minute), once)
  await before.every(stage.name(), '*/30 * * * *', zone, again)
  await stage.close(before)
  stage.set('2026-03-02T12:02:00Z')
  const after = await stage.open()
  await after.settle()
  assert.deepEqual([await stage.rung(once), await stage.rung(again)], [1, 4])
}

const clocksChange: Play = async (stage) => {
  const [service, name, stream] = [await stage.open(), stage.name(), fresh('bell')]
  stage.set('2026-10-25T00:10:00Z')
  await service.every(name, '*/30 * * * *', zone, stream)
  // At 01:00Z the clocks there go back from three to two: the hour comes twice.
  for (const [moment, count] of [
    ['00:31', 1],
    ['01:01', 2],
    ['01:31', 3],
    ['02:01', 4],
  ] as const) {
    stage.set(`2026-10-25T${moment}:00Z`)
    await service.settle()
    assert.equal(await stage.rung(stream), count)
  }
  assert.deepEqual(await service.due(name), new Date('2026-10-25T02:30:00Z'))
}

const clockJumps: Play = async (stage) => {
  const [service, name, stream] = [await stage.open(), stage.name(), fresh('bell')]
  const random = seededRandom(16)
  stage.set('2026-03-02T10:01:00Z')
  await service.every(name, '*/30 * * * *', zone, stream)
  let furthest = stage.clock.now()
  for (let jump = 0; jump < 60; jump++) {
    stage.add((random.next() < 0.5 ? -60 : 60) * minute)
    furthest = Math.max(furthest, stage.clock.now())
    await service.settle()
  }
  const first = new Date('2026-03-02T10:30:00Z').getTime()
  assert.equal(await stage.rung(stream), Math.floor((furthest - first) / (30 * minute)) + 1)
}

const twoPrograms: Play = async (stage) => {
  const [one, other] = [await stage.open(), await stage.open()]
  stage.set('2026-03-02T10:01:00Z')
  const bells = counting(5).map(() => fresh('bell'))
  const again = fresh('again')
  for (const stream of bells) await one.at(stage.name(), stage.in(minute), stream)
  await one.every(stage.name(), '*/30 * * * *', zone, again)
  stage.add(95 * minute)
  await Promise.all([one.settle(), other.settle()])
  await Promise.all([one.settle(), other.settle()])
  for (const stream of bells) assert.equal(await stage.rung(stream), 1)
  assert.equal(await stage.rung(again), 3)
}

/** Every call of the store fails once, before or after its work, on the way to an effect. */
const failures: Play = async (stage, ctx) => {
  let at = 0
  for (; ; at++) {
    const [service, name, stream] = [await stage.open(), stage.name(), fresh('bell')]
    await service.at(name, stage.in(minute), stream)
    await stage.close(service)
    stage.add(2 * minute)
    const when = at % 2 === 0 ? 'before' : 'after'
    const { store, fired } = withFault(ctx.store, { at: at >> 1, when })
    // Not started: it works when it is told to, and not beside it as well.
    const dying = stage.unstarted(store)
    await dying.settle().catch(() => {})
    await dying.stop().catch(() => {})
    // What waited for the storage is due again a moment later.
    stage.add(minute)
    const next = await stage.open()
    await next.settle()
    assert.equal(await stage.rung(stream), 1, `${when} call ${at >> 1}`)
    await stage.close(next)
    if (!fired()) break
  }
  assert.ok(at > 10, `the run made only ${at >> 1} calls`)
}

function casesOf(open: OpenSchedules): readonly ContractCase<EventStoreContext>[] {
  const play = (name: string, run: Play) =>
    law(`schedule: ${name}`, async (ctx) => {
      const stage = new ScheduleStage(ctx, open)
      stage.set('2026-03-02T10:01:00Z')
      try {
        await run(stage, ctx)
      } finally {
        await stage.end()
      }
    })
  return [
    play('comes when its moment has come, once, and not before', comesOnce),
    play('fires by itself in a program that was started', byItself),
    play('one that is taken back does not come', takenBack),
    play('one of the same name takes the place of the former', takesItsPlace),
    play('what fell due while no program ran comes later, each once', afterARestart),
    play('a recurrence loses and doubles nothing when the clocks change', clocksChange),
    play('a clock that jumps loses nothing and makes nothing come twice', clockJumps),
    play('two programs at once fire each once', twoPrograms),
    play('wherever the store fails, the effect is there once', failures),
  ]
}

/**
 * The laws of durable schedules as cases, for schedules of any making over any store.
 *
 * @example
 * ```ts
 * import { openMemoryStore, runStoreCase, scheduleContract } from 'eventuali/testing'
 *
 * const make = async () => ({ store: await openMemoryStore(), dispose: async () => {} })
 * const [first] = scheduleContract().cases
 * if (first !== undefined) await runStoreCase(first, make)
 * ```
 */
export function scheduleContract(open: OpenSchedules = openSchedules): Contract<EventStoreContext> {
  return defineContract('schedule', casesOf(open))
}
