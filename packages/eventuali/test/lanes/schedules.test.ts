import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore, type Store } from '../../src/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

/** Three writers, each begins (takes what it needs), inserts, and ends. */
const writerCount = 3
const stepsOfWriter = 3
const interleavings = allInterleavings()
const outcomesCount = 2 ** writerCount

/** Orders of the writers' steps, 9!/(3!)^3 = 1,680 of them; a writer's own order stands. */
function allInterleavings(): number[][] {
  const all: number[][] = []
  const extend = (order: readonly number[], left: readonly number[]): void => {
    if (left.every((count) => count === 0)) all.push([...order])
    for (const [writer, count] of left.entries()) {
      if (count > 0) extend([...order, writer], left.with(writer, count - 1))
    }
  }
  extend(
    [],
    Array.from({ length: writerCount }, () => stepsOfWriter),
  )
  return all
}

interface Seen {
  readonly position: number
  readonly stream: string
  readonly version: number
}

/** Reads from where it is up to the safe position; `newest` is the planted bug. */
class TailReader {
  readonly seen: Seen[] = []
  readonly #store: Store
  readonly #upTo: 'safe' | 'newest'
  #position: number

  constructor(store: Store, position: number, upTo: 'safe' | 'newest') {
    this.#store = store
    this.#position = position
    this.#upTo = upTo
  }

  async read(): Promise<void> {
    const after = this.#position
    const options = this.#upTo === 'newest' ? { after, upTo: 'newest' as const } : { after }
    for (const event of await this.#store.readAll(options).toArray()) {
      const { position, stream, version } = event
      this.seen.push({ position, stream, version })
      this.#position = position
    }
  }

  get position(): number {
    return this.#position
  }
}

interface Bench {
  readonly writing: Store
  readonly reading: Store
  readonly clients: readonly pg.Client[]
}

/** What a schedule's reader skipped or saw in the wrong order; empty when nothing. */
async function runSchedule(
  bench: Bench,
  order: readonly number[],
  rollbacks: number,
  reader: TailReader,
): Promise<string[]> {
  const { clients, writing } = bench
  const committed: Seen[] = []
  const pending = new Map<number, Seen>()
  const steps = clients.map(() => 0)
  const firstSeen = reader.seen.length
  for (const writer of order) {
    const client = clients[writer] as pg.Client
    const step = steps[writer] ?? 0
    steps[writer] = step + 1
    if (step === 0) {
      await client.query('BEGIN')
      // Half of them have written elsewhere, and so have a transaction id before they append.
      await client.query(writer % 2 === 0 ? 'SELECT 1' : 'INSERT INTO elsewhere VALUES (1)')
    } else if (step === 1) {
      const event = { type: 'Noted', data: { writer } }
      // A writer's own streams, so that none waits for another: the interleaving stands.
      const stream = `w${writer}-1`
      const result = await writing.append(stream, event, { within: client })
      pending.set(writer, { position: result.position, stream, version: result.version })
    } else {
      const rollsBack = (rollbacks & (1 << writer)) !== 0
      await client.query(rollsBack ? 'ROLLBACK' : 'COMMIT')
      const written = pending.get(writer)
      if (!rollsBack && written !== undefined) committed.push(written)
    }
    await reader.read()
  }
  await reader.read()
  const seen = reader.seen.slice(firstSeen)
  committed.sort((a, b) => a.position - b.position)
  const positions = (list: readonly Seen[]): string => list.map((s) => s.position).join(' ')
  if (positions(seen) === positions(committed)) return []
  return [`saw ${positions(seen)}, committed ${positions(committed)}, order ${order.join('')}`]
}

async function makeBench(url: string): Promise<Bench> {
  const writing = await openStore(url)
  const reading = await openStore(url)
  const clients = Array.from(
    { length: writerCount },
    () => new pg.Client({ connectionString: url }),
  )
  await Promise.all(clients.map((client) => client.connect()))
  await clients[0]?.query('CREATE TABLE elsewhere (n int)')
  return { writing, reading, clients }
}

async function endBench({ writing, reading, clients }: Bench): Promise<void> {
  await Promise.all(clients.map((client) => client.end()))
  await writing.close()
  await reading.close()
}

/** Distinct schedules, drawn without putting any back. */
function sample(run: Campaign, count: number): { order: readonly number[]; rollbacks: number }[] {
  const all = interleavings.length * outcomesCount
  const chosen = Array.from({ length: all }, (_, n) => n)
  for (let i = 0; i < Math.min(count, all); i++) {
    const j = run.between(i, all - 1)
    ;[chosen[i], chosen[j]] = [chosen[j] as number, chosen[i] as number]
  }
  return chosen.slice(0, count).map((n) => ({
    order: interleavings[Math.floor(n / outcomesCount)] as number[],
    rollbacks: n % outcomesCount,
  }))
}

const skip = postgresSkipReason()

describe.skipIf(skip !== undefined)('every order of three transactions', () => {
  let server: PostgresServer | undefined
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server?.stop())

  const run = (name: string, count: number, upTo: 'safe' | 'newest') =>
    campaign(name, async (campaignRun) => {
      const bench = await makeBench((await server?.database()) ?? '')
      try {
        const schedules = sample(campaignRun, campaignRun.scaled(count))
        const reader = new TailReader(bench.reading, 0, upTo)
        const wrong: string[] = []
        for (const { order, rollbacks } of schedules) {
          wrong.push(...(await runSchedule(bench, order, rollbacks, reader)))
        }
        campaignRun.note(
          `${schedules.length} of ${interleavings.length * outcomesCount} schedules, ${reader.seen.length} events, ${wrong.length} wrong`,
        )
        return wrong
      } finally {
        await endBench(bench)
      }
    })

  test('a tailing reader skips nothing and sees nothing out of order', async () => {
    expect(await run('R8a schedules', 2000, 'safe')).toEqual([])
  })

  test('the harness finds a reader that takes the newest for the safe position', async () => {
    const wrong = await run('R8a planted: reads up to the newest', 200, 'newest')
    expect(wrong.length).toBeGreaterThan(0)
  })
})
