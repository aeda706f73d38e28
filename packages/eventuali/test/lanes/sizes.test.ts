import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventBytesMax, isEventualiError, openStore, type Store } from '../../src/index.ts'
import { openMemoryStore } from '../../src/stores/memory/index.ts'
import { type StoreHooks, wrapStore } from '../../src/testing/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { endChildren, startChild } from '../harness/child.ts'
import { mainSettings, type Setting, SettingStores, settings } from '../harness/settings.ts'
import type { SizesProgramInput, SizesProgramReport } from './sizes-program.ts'

const stores = new SettingStores()
beforeAll(() => stores.start(), 120_000)
afterAll(() => stores.stop())

const kibibyte = 1024
const mebibyte = 1024 * kibibyte

/** Text of so many bytes of UTF-8: of one letter, or of noise in letters of one to four bytes. */
function text(run: Campaign, bytes: number, noisy: boolean): string {
  if (!noisy) return 'x'.repeat(bytes)
  const letters = ['a', 'é', '€', '🚀', '0', 'z', '\u0000', '"', '\\']
  const length = Math.min(4096, Math.ceil(bytes / 4))
  const block = Array.from({ length }, () => run.pick(letters)).join('')
  // Escapes take more room in JSON than in UTF-8: what counts is the JSON text.
  const unit = Buffer.byteLength(JSON.stringify(block)) - 2
  const body = unit === 0 ? '' : block.repeat(Math.floor(bytes / unit))
  return body + 'x'.repeat(bytes - (unit === 0 ? 0 : unit * Math.floor(bytes / unit)))
}

/** Payloads by the bytes of their JSON text beyond the quotes. */
function payloads(run: Campaign): unknown[] {
  const sizes = [1, 64 * kibibyte - 1, 64 * kibibyte, mebibyte, 16 * mebibyte, eventBytesMax - 2]
  const texts = sizes.map((bytes, n) => text(run, bytes, n % 2 === 1 || bytes === 16 * mebibyte))
  const small = Array.from({ length: 2000 }, (_, n) => ({ n, s: text(run, n % 40, true) }))
  return ['', {}, [], null, 0, false, small, ...texts]
}

/** What is wrong with payloads of all sizes, in an append each. */
async function wrongSizes(
  run: Campaign,
  store: Store,
  all: readonly unknown[] = payloads(run),
): Promise<string[]> {
  const wrong: string[] = []
  for (const [n, data] of all.entries()) {
    const { version } = await store.append('sizes-1', { type: 'Sized', data })
    if (version !== n + 1) wrong.push(`payload ${n} has version ${version}`)
  }
  let n = 0
  for await (const event of store.readStream('sizes-1')) {
    const [back, given] = [JSON.stringify(event.data), JSON.stringify(all[n])]
    if (back !== given) wrong.push(`payload ${n}: ${given.length} in, ${back.length} out`)
    n++
  }
  if (n !== all.length) wrong.push(`${n} of ${all.length} payloads came back`)
  const over = { type: 'Sized', data: text(run, eventBytesMax - 1, true) }
  const refusal = await store.append('over-1', [{ type: 'Sized', data: 1 }, over]).then(
    () => 'stored',
    (error: unknown) => (isEventualiError(error) ? error.code : String(error)),
  )
  if (refusal !== 'EVENT_TOO_LARGE') wrong.push(`a byte over the limit: ${refusal}`)
  if ((await store.stream('over-1')) !== undefined) wrong.push('half of a refused append is there')
  return wrong
}

/** Ten thousand events at once: all there, in order. */
async function wrongInMany(store: Store): Promise<string[]> {
  const count = 10_000
  const events = Array.from({ length: count }, (_, n) => ({ type: 'Many', data: { n } }))
  const { version, events: told } = await store.append('many-1', events)
  const wrong: string[] = []
  if (version !== count || told.length !== count) wrong.push(`${count} made version ${version}`)
  let at = 0
  let last = 0
  for await (const event of store.readStream('many-1')) {
    at++
    if (event.version !== at || (event.data as { n: number }).n !== at - 1) {
      wrong.push(`event ${at} is version ${event.version}`)
    }
    if (event.position <= last) wrong.push(`position ${event.position} after ${last}`)
    last = event.position
  }
  if (at !== count) wrong.push(`${at} of ${count} events came back`)
  return wrong.slice(0, 5)
}

describe.each(mainSettings)('sizes, $name', (setting) => {
  const skip = stores.skip(setting)

  test.skipIf(skip)(
    'every size comes back exactly, beyond the limit is a typed error',
    async () => {
      await campaign(`R17 payloads, ${setting.name}`, async (run) => {
        await using store = await stores.open(setting)
        expect(await wrongSizes(run, store)).toEqual([])
        expect(await wrongInMany(store)).toEqual([])
        const report = await store.verify()
        expect(report.problems).toEqual([])
        run.note(`payloads of 0 to ${eventBytesMax} bytes, 10,000 at once`)
      })
    },
  )
})

/** A long stream beside many streams, and a program with little memory that reads all of it. */
async function fill(store: Store, longCount: number, streamCount: number): Promise<void> {
  const batch = 5000
  for (let n = 0; n < longCount; n += batch) {
    const events = Array.from({ length: batch }, (_, i) => ({ type: 'Long', data: { n: n + i } }))
    await store.append('long-1', events)
  }
  for (let n = 0; n < streamCount; n += 1000) {
    const entries = Array.from({ length: 1000 }, (_, i) => ({
      ...{ stream: `wide-${n + i}`, events: [{ type: 'Wide', data: { n: n + i } }] },
    }))
    await store.appendAll(entries)
  }
}

const isShared = ({ place }: Setting): boolean => place !== 'memory'

describe.each(mainSettings.filter(isShared))('a long log, $name', (setting) => {
  test.skipIf(stores.skip(setting))(
    'is read whole with 128 MiB for the heap',
    async () => {
      await campaign(`R17 long log, ${setting.name}`, async (run) => {
        // All of it for one driver of each database; the others read a part.
        const isFull = setting.name === 'node:sqlite' || setting.name === 'Postgres'
        const longCount = run.scaled(isFull ? 20 : 4) * 5000
        const streamCount = run.scaled(isFull ? 10 : 2) * 1000
        const url = await stores.url(setting)
        const options = { profile: 'relaxed', ...setting.options } as const
        const store = await openStore(url, options)
        await fill(store, longCount, streamCount)
        await store.close()
        const input: SizesProgramInput = { url, options, longCount, streamCount }
        const nodeOptions = ['--max-old-space-size=128']
        const child = startChild(import.meta.url, './sizes-program.ts', { input, nodeOptions })
        try {
          const report = await child.message<SizesProgramReport>('report', 600_000)
          run.note(
            `${longCount} events of one stream, ${streamCount} streams, ${report.residentMiB} MiB`,
          )
          expect(report.wrong).toEqual([])
        } finally {
          await endChildren([child])
        }
      })
    },
    1_800_000,
  )
})

const last = Number.MAX_SAFE_INTEGER - 1

/** Puts the counter of positions, or the version of a stream, near the end of the numbers. */
async function setNumber(url: string, what: 'position' | 'version', value: number): Promise<void> {
  if (url.startsWith('sqlite:')) {
    const database = new DatabaseSync(url.slice('sqlite:'.length))
    const number = BigInt(value)
    if (what === 'position')
      database.prepare('UPDATE eventuali_head SET last_position = ?').run(number)
    else {
      database.prepare('UPDATE eventuali_events SET version = ?').run(number)
      database
        .prepare('UPDATE eventuali_streams SET version = ?, first_version = ?')
        .run(number, number)
    }
    database.close()
    return
  }
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  if (what === 'position')
    await client.query(`SELECT setval('eventuali.events_position', ${value})`)
  else {
    await client.query(`UPDATE eventuali.events SET version = ${value}`)
    await client.query(`UPDATE eventuali.streams SET version = ${value}, first_version = ${value}`)
  }
  await client.end()
}

interface Ending {
  readonly acknowledged: readonly { readonly position: number; readonly version: number }[]
  readonly refusals: readonly string[]
}

/** Appends until the numbers have run out, and a little beyond. */
async function appendToTheEnd(store: Store, sizes: readonly number[]): Promise<Ending> {
  const acknowledged: { position: number; version: number }[] = []
  const refusals: string[] = []
  for (const size of sizes) {
    const events = Array.from({ length: size }, () => ({ type: 'Late', data: { size } }))
    try {
      const result = await store.append('end-1', events)
      for (const { position, version } of result.events) acknowledged.push({ position, version })
    } catch (error) {
      refusals.push(isEventualiError(error) ? error.code : String(error))
    }
  }
  return { acknowledged, refusals }
}

/** What was acknowledged and is not found again, by any way to read. */
async function wrongAtTheEnd(store: Store, { acknowledged }: Ending): Promise<string[]> {
  const wrong: string[] = []
  const compare = (how: string, events: readonly { position: number; version: number }[]) => {
    const shown = (list: typeof events) => list.map((e) => `${e.version}@${e.position}`).join(' ')
    if (shown(events) !== shown(acknowledged)) wrong.push(`${how}: ${shown(events)}`)
  }
  try {
    // A refusal may have drawn numbers; readers of the log wait for the proof that they stay empty.
    await store.caughtUp(acknowledged.at(-1)?.position ?? 0, { timeoutMs: 10_000 })
    const from = acknowledged[0]?.version
    compare('readStream', await store.readStream('end-1', { from }).toArray())
    const after = (acknowledged[0]?.position ?? 1) - 1
    compare('readAll', await store.readAll({ after }).toArray())
    const back = await store.readAll({ after, direction: 'backward', upTo: 'newest' }).toArray()
    compare('readAll backward', back.toReversed())
    const seen: { position: number; version: number }[] = []
    const subscription = store.subscribe({ after }, (event) => seen.push(event))
    const until = performance.now() + 5000
    while (seen.length < acknowledged.length && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await subscription.stop()
    compare('a subscription', seen)
    const { problems } = await store.verify()
    wrong.push(...problems.map(({ reason }) => reason))
  } catch (error) {
    wrong.push(`cannot be read: ${String(error)}`)
  }
  return wrong
}

describe.each(settings.filter(isShared))('numbers near 2^53, $name', (setting) => {
  test.skipIf(stores.skip(setting)).each(['position', 'version'] as const)(
    'the last %s is used, and after it nothing is lost',
    async (what) => {
      await campaign(`R17 the last ${what}, ${setting.name}`, async (run) => {
        const url = await stores.url(setting)
        const first = await openStore(url, setting.options)
        await first.append('end-1', { type: 'Early', data: 0 })
        await first.close()
        await setNumber(url, what, last - 7)
        await using store = await openStore(url, setting.options)
        // 3 and 2 fit, 3 do not; 1 and 1 are the last. A sequence keeps what a refusal drew.
        const sizes =
          what === 'position' && setting.place === 'postgres' ? [3, 2, 1, 1] : [3, 2, 3, 1, 1]
        const ending = await appendToTheEnd(store, [...sizes, 1, 2, 1])
        run.note(`${ending.acknowledged.length} up to ${ending.acknowledged.at(-1)?.[what]}`)
        expect(ending.acknowledged.at(-1)?.[what]).toBe(last)
        expect(ending.acknowledged).toHaveLength(7)
        expect(new Set(ending.refusals)).toEqual(new Set(['NUMBERS_EXHAUSTED']))
        expect(await wrongAtTheEnd(store, ending)).toEqual([])
        const elsewhere = store.append('other-1', { type: 'Late', data: 1 })
        if (what === 'version') expect((await elsewhere).version).toBe(1)
        else await expect(elsewhere).rejects.toMatchObject({ code: 'NUMBERS_EXHAUSTED' })
      })
    },
  )
})

const planted: Readonly<Record<string, StoreHooks>> = {
  'cuts texts at 64 KiB': {
    append: (next, request, options) => {
      const entries = request.entries.map((entry) => ({
        ...entry,
        events: entry.events.map((event) =>
          typeof event.data === 'string'
            ? { ...event, data: event.data.slice(0, 64 * kibibyte) }
            : event,
        ),
      }))
      return next.append({ ...request, entries }, options)
    },
  },
  'takes what is over the limit, without it': {
    append: async (next, request, options) => {
      try {
        return await next.append(request, options)
      } catch (error) {
        if (!isEventualiError(error, 'EVENT_TOO_LARGE')) throw error
        const entries = request.entries.map((entry) => ({
          ...entry,
          events: entry.events.slice(0, -1),
        }))
        return next.append({ ...request, entries }, options)
      }
    },
  },
  'reads a thousand events of a stream, no more': {
    readStream: async function* (next, query, options) {
      let left = 1000
      for await (const page of next.readStream(query, options)) {
        yield page.slice(0, left)
        left -= page.length
        if (left <= 0) return
      }
    },
  },
}

describe('the harness of sizes', () => {
  test.each(Object.keys(planted))('finds a store that %s', async (name) => {
    await campaign(`R17 planted: ${name}`, async (run) => {
      await using store = await openStore(wrapStore(await openMemoryStore(), planted[name] ?? {}))
      const wrong = [...(await wrongSizes(run, store)), ...(await wrongInMany(store))]
      run.note(wrong[0] ?? 'nothing found')
      expect(wrong).not.toEqual([])
    })
  })

  const postgres = settings.find(({ name }) => name === 'Postgres') as Setting
  test.skipIf(stores.skip(postgres))('finds positions that go on beyond 2^53', async () => {
    await campaign('R17 planted: positions beyond 2^53', async (run) => {
      const url = await stores.url(postgres)
      await (await openStore(url)).close()
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      await client.query(`ALTER SEQUENCE eventuali.events_position MAXVALUE 9223372036854775807`)
      await client.end()
      await setNumber(url, 'position', last - 7)
      await using store = await openStore(url)
      const ending = await appendToTheEnd(store, [3, 3, 3, 3])
      const wrong = await wrongAtTheEnd(store, ending)
      run.note(wrong[0] ?? 'nothing found')
      expect(wrong).not.toEqual([])
    })
  })
})
