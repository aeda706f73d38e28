import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
} from '../../test/servers/postgres.ts'
import { systemClock, systemRandom, uuidV7Source } from '../kernel/index.ts'
import type { EventStore } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { openPostgresStore } from '../stores/postgres/index.ts'
import { openSqliteStore } from '../stores/sqlite/index.ts'
import { fresh } from './contracts/steps.ts'
import { storeMutants } from './mutants/index.ts'
import { findPlans, recordSteps } from './read-side-arbitraries.ts'
import { runFinds, runRecords } from './read-side-runner.ts'

// A new seed for each run; EVENTUALI_SEED repeats one. fast-check prints it with the shrunk plan.
const seed = Number(process.env.EVENTUALI_SEED ?? Date.now() % 2 ** 31)
const runs = Number(process.env.EVENTUALI_RUNS ?? 150)

type Run<Plan> = (store: EventStore, plan: Plan, name: string) => Promise<readonly unknown[]>

/** The other store must tell the same as the model. */
function property<Plan>(plans: fc.Arbitrary<Plan>, run: Run<Plan>, other: EventStore) {
  return fc.asyncProperty(plans, async (plan) => {
    await using model = await disposable(openMemoryStore())
    const expected = await run(model.store, plan, fresh('t'))
    const actual = await run(other, plan, fresh('t'))
    // As text: the order of properties counts, and 0 and -0 are the same.
    expect(actual.map((one) => JSON.stringify(one))).toEqual(
      expected.map((one) => JSON.stringify(one)),
    )
  })
}

async function disposable(opening: Promise<EventStore>) {
  const store = await opening
  return { store, [Symbol.asyncDispose]: () => store.close() }
}

async function check<Plan>(
  plans: fc.Arbitrary<Plan>,
  run: Run<Plan>,
  open: () => Promise<EventStore>,
): Promise<void> {
  await using other = await disposable(open())
  await fc.assert(property(plans, run, other.store), { seed, numRuns: runs })
}

const checkFinds = (open: () => Promise<EventStore>) => check(findPlans(fc), runFinds, open)
const checkRecords = (open: () => Promise<EventStore>) => check(recordSteps(fc), runRecords, open)

async function isFound<Plan>(
  name: string,
  plans: fc.Arbitrary<Plan>,
  run: Run<Plan>,
): Promise<boolean> {
  const mutant = storeMutants.find((candidate) => candidate.name === name)
  if (mutant === undefined) throw new Error(`there is no mutant "${name}"`)
  await using other = await disposable(openMemoryStore())
  const broken = property(plans, run, mutant.wrap(other.store))
  return (await fc.check(broken, { seed, numRuns: 5000, endOnFailure: true })).failed
}

describe(`random read sides, seed ${seed}`, () => {
  it('SQLite in memory finds what the model finds', () =>
    checkFinds(() => openSqliteStore({ file: ':memory:' })))

  it('SQLite in memory keeps records as the model does', () =>
    checkRecords(() => openSqliteStore({ file: ':memory:' })))

  it('SQLite in a file, on the other driver, finds and keeps the same', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventuali-prop-'))
    const file = join(folder, 'log.db')
    const open = () => openSqliteStore({ file, profile: 'relaxed', driver: 'better-sqlite3' })
    try {
      await checkFinds(open)
      await checkRecords(open)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  const brokenFinds = [
    'takes lte for lt',
    'ignores the filters with in',
    'takes null for a value that exists',
    'takes true for 1',
    'puts documents without the property first when it descends',
    'cuts before it sorts',
    'finds documents in the order of UTF-16',
    'counts all documents, whatever the filters',
    'loses the last document of a put',
  ]
  it.each(brokenFinds)('finds a planted bug: a store that %s', async (name) => {
    expect(await isFound(name, findPlans(fc), runFinds)).toBe(true)
  })

  const brokenRecords = [
    'ignores the expected revision of a record',
    'keeps the state of a record that is written without one',
    'lists what is due by key',
    'takes the time up to which records are due for exclusive',
    'lists records in the order of UTF-16',
    'keeps records of a transaction that was rolled back',
  ]
  it.each(brokenRecords)('finds a planted bug: a store that %s', async (name) => {
    expect(await isFound(name, recordSteps(fc), runRecords)).toBe(true)
  })

  describe.skipIf(postgresSkipReason() !== undefined)('on a server', () => {
    let server: PostgresServer
    let url: string
    beforeAll(async () => {
      server = await startPostgres()
      url = await server.database()
    }, 60_000)
    afterAll(() => server?.stop())

    const open = () =>
      openPostgresStore({
        url,
        clock: systemClock,
        random: systemRandom,
        ids: uuidV7Source(systemClock, systemRandom),
      })

    it('PostgreSQL finds what the model finds', () => checkFinds(open))
    it('PostgreSQL keeps records as the model does', () => checkRecords(open))
  })
})
