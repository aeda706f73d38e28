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
import { type StoreCommand, storeCommands } from './arbitraries.ts'
import { runStoreCommands } from './command-runner.ts'
import { fresh } from './contracts/steps.ts'
import { storeMutants } from './mutants/index.ts'

// A new seed for each run; EVENTUALI_SEED repeats one. fast-check prints it with the shrunk list.
const seed = Number(process.env.EVENTUALI_SEED ?? Date.now() % 2 ** 31)
const runs = Number(process.env.EVENTUALI_RUNS ?? 150)

const injected = {
  clock: systemClock,
  random: systemRandom,
  ids: uuidV7Source(systemClock, systemRandom),
}

/** Runs the list on the model and on the other store; both must tell the same. */
async function assertAlike(
  commands: readonly StoreCommand[],
  open: () => Promise<EventStore>,
): Promise<void> {
  const model = await openMemoryStore()
  const other = await open()
  try {
    const expected = await runStoreCommands(model, commands, fresh('m'))
    const actual = await runStoreCommands(other, commands, fresh('m'))
    // As text, so that 0 and -0, and absent and undefined, are the same.
    for (const [i, result] of expected.entries()) {
      expect(json(actual[i]), `step ${i}: ${JSON.stringify(commands[i])}`).toBe(json(result))
    }
  } finally {
    await other.close()
  }
}

function json(value: unknown): string {
  return JSON.stringify(value, sorted, 1) ?? 'undefined'
}

function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function check(open: () => Promise<EventStore>, numRuns = runs): Promise<void> {
  const property = fc.asyncProperty(storeCommands(fc), (commands) => assertAlike(commands, open))
  return fc.assert(property, { seed, numRuns })
}

describe(`random commands, seed ${seed}`, () => {
  it('SQLite in memory does what the model does', () =>
    check(() => openSqliteStore({ file: ':memory:' })))

  it('SQLite in a file does what the model does', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventuali-prop-'))
    let count = 0
    const open = () => {
      count += 1
      return openSqliteStore({ file: join(folder, `${count}.db`), profile: 'relaxed' })
    }
    try {
      await check(open, Math.ceil(runs / 3))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  const planted = [
    'ignores the expected version',
    'loses the last event of a batch',
    'forgets idempotency',
    'stores the entries of a request one by one',
    'ignores the tags of a condition',
    "reads the condition's position one too low",
    'joins the tags of a filter by OR',
    'skips an event at each page border of the log',
    'shows archived streams in the log',
    'takes appends to deleted streams',
    'does not roll transactions back',
  ]
  it.each(planted)('finds a planted bug: a store that %s', async (name) => {
    const mutant = storeMutants.find((candidate) => candidate.name === name)
    if (mutant === undefined) throw new Error(`there is no mutant "${name}"`)
    const property = fc.asyncProperty(storeCommands(fc), (commands) =>
      assertAlike(commands, async () => mutant.wrap(await openMemoryStore())),
    )
    const found = await fc.check(property, { seed, numRuns: 2000, endOnFailure: true })
    expect(found.failed, `not found in 2000 runs with seed ${seed}`).toBe(true)
  })

  describe.skipIf(postgresSkipReason() !== undefined)('on a server', () => {
    let server: PostgresServer
    let url: string
    beforeAll(async () => {
      server = await startPostgres()
      url = await server.database()
    }, 60_000)
    afterAll(() => server?.stop())

    it('PostgreSQL does what the model does', () =>
      check(() => openPostgresStore({ url, ...injected }), Math.ceil(runs / 2)))
  })
})
