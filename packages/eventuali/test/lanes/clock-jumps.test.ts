import { expect, test } from 'vitest'
import type { Clock } from '../../src/index.ts'
import type { EventStore } from '../../src/ports/index.ts'
import { wrapStore } from '../../src/testing/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { type ClockRun, runClocks } from './clock-jumps-world.ts'

const JUMPS_IN_A_RUN = 20
const RUN_COUNT = 10
const PLANTED_RUN_COUNT = 20
const QUARTER_MS = 900_000
const berlin = { pattern: '30 2 * * *', timeZone: 'Europe/Berlin' }

/** Evenings before something happens to the calendar. */
const evenings: readonly Pick<ClockRun, 'moment' | 'once'>[] = [
  // Clocks go forward: half past two is left out. Then back: it comes twice.
  { moment: '2026-03-28T20:00:00Z', once: berlin },
  { moment: '2026-10-24T20:00:00Z', once: berlin },
  { moment: '2028-02-28T20:00:00Z', once: { pattern: '30 2 29 2 *', timeZone: 'UTC' } },
  { moment: '2026-12-31T20:00:00Z', once: { pattern: '30 2 1 1 *', timeZone: 'UTC' } },
  { moment: '2026-11-01T00:00:00Z', once: { pattern: '30 1 * * *', timeZone: 'America/New_York' } },
]

function optionsOf(run: Campaign, n: number, isCalm: boolean): ClockRun {
  const evening = evenings[n % evenings.length] as (typeof evenings)[number]
  return { ...evening, seed: run.seed + n, jumpCount: JUMPS_IN_A_RUN, isCalm }
}

test.each([
  [true, 'no owner changes and no order'],
  [false, 'with pauses and lost replies, no two owners write and no order changes'],
])(
  'when wall clocks jump (calm: %s), %s',
  async (isCalm) => {
    const name = isCalm ? 'R16 clocks alone' : 'R16 clocks and faults'
    await campaign(name, async (run) => {
      const count = run.scaled(RUN_COUNT)
      let [backwards, owners] = [0, 0]
      for (let n = 0; n < count; n++) {
        const report = await runClocks(optionsOf(run, n, isCalm))
        backwards += report.backwards
        owners += report.owners
        await new Promise((resolve) => setImmediate(resolve))
      }
      run.note(`${count * JUMPS_IN_A_RUN} jumps of an hour in ${count} runs, three machines each`)
      run.note(`${backwards} events recorded before their predecessors, ${owners} owners`)
      expect(backwards).toBeGreaterThan(0)
      if (!isCalm) expect(owners).toBeGreaterThan(3 * count)
    })
  },
  3_600_000,
)

/** What counts as time for a lease is what hangs on the wall. */
const byWall = (clock: Clock): Clock => ({ ...clock, monotonic: () => clock.now() })

/** Timers go off when the wall clock says so: at once after a jump ahead, late after one back. */
const wallTimers = (clock: Clock): Clock => ({
  ...clock,
  timer: (ms, callback) => {
    const due = clock.now() + ms
    let stop = () => {}
    const look = (): void => {
      if (clock.now() >= due) callback()
      else stop = clock.timer(Math.min(50, Math.max(1, due - clock.now())), look)
    }
    stop = clock.timer(Math.min(50, Math.max(0, ms)), look)
    return () => stop()
  },
})

/** The log in the order of its times. */
const byTime = (store: EventStore): EventStore =>
  wrapStore(store, {
    readLog: async function* (next, query, options) {
      for await (const page of next.readLog(query, options)) {
        yield [...page].sort((a, b) => a.recordedAt.getTime() - b.recordedAt.getTime())
      }
    },
  })

/** The next occurrence is counted from the clock: those before it are lost after a jump. */
const fromNow = (store: EventStore, wall: () => number): EventStore =>
  wrapStore(store, {
    records: {
      write: (next, changes, options) => {
        const spoiled = changes.map((change) => {
          const value = change.value as { dueAt?: number; recurrence?: unknown } | undefined
          const isFollowing = change.kind === 'schedule' && change.expected !== 'any'
          if (!isFollowing || value?.recurrence == null) return change
          const next = Math.ceil((wall() + 1) / QUARTER_MS) * QUARTER_MS
          const due = Math.max(change.due ?? 0, next)
          return { ...change, due, value: { ...value, dueAt: due } as never }
        })
        return next.write(spoiled, options)
      },
    },
  })

/** A former owner may write: found where machines are paused as well. */
const noFence = (store: EventStore): EventStore =>
  wrapStore(store, {
    records: {
      write: (next, changes, options) =>
        next.write(
          changes.map((change) =>
            change.kind === 'partition' && change.expected !== 0
              ? { ...change, expected: 'any' }
              : change,
          ),
          options,
        ),
    },
  })

const plantedBugs: readonly {
  readonly what: string
  readonly finds: RegExp
  readonly isCalm: boolean
  readonly bug: Pick<ClockRun, 'clock' | 'store'>
}[] = [
  {
    ...{ what: 'a lease that compares wall clocks', isCalm: true, bug: { clock: byWall } },
    finds: /changed its owner|in time/,
  },
  {
    ...{ what: 'timers that go by the wall clock', isCalm: true, bug: { clock: wallTimers } },
    finds: /changed its owner|in time/,
  },
  {
    ...{ what: 'a log in the order of its times', isCalm: true, bug: { store: byTime } },
    finds: /order of positions|in time|came \d+ times/,
  },
  {
    ...{ what: 'recurrences counted from the clock', isCalm: true, bug: { store: fromNow } },
    finds: /quarters/,
  },
  {
    ...{ what: 'a former owner that may write', isCalm: false, bug: { store: noFence } },
    finds: /came \d+ times|went from epoch|in time|quarters struck|struck too early/,
  },
]

test.each(plantedBugs)(
  'finds $what',
  async ({ what, finds, isCalm, bug }) => {
    await campaign(`R16 planted: ${what}`, async (run) => {
      for (let n = 0; n < PLANTED_RUN_COUNT; n++) {
        const outcome = await runClocks({ ...optionsOf(run, n, isCalm), ...bug }).then(
          () => undefined,
          (error: Error) => error.message.split('\n')[0],
        )
        if (outcome === undefined) continue
        run.note(`in run ${n + 1}: ${outcome}`)
        expect(outcome).toMatch(finds)
        return
      }
      expect.fail(`not found within ${PLANTED_RUN_COUNT} runs`)
    })
  },
  600_000,
)
