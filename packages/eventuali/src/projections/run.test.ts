import { describe, expect, it } from 'vitest'
import { systemClock } from '../kernel/index.ts'
import { defineEvents, type RecordedEvent, StorageBusyError, type } from '../model/index.ts'
import type { ModelAccess, StoredDocument } from '../ports/index.ts'
import { type Collection, collection } from './collection.ts'
import { type AnyProjection, defineProjection, tablesOf } from './define.ts'
import { projectLive } from './live.ts'
import { isStorageTrouble, isWanted, ProjectionRun } from './run.ts'
import { newEvent } from './shop.test-support.ts'

const events = defineEvents({ Hit: type<{ key: string; n: number }>(), Other: type<null>() })

function hit(position: number, key = 'a', n = position): RecordedEvent {
  const { id, metadata, schemaVersion } = newEvent('Hit', null)
  const at = new Date(0)
  return {
    ...{ id, metadata, schemaVersion, stream: `s-${key}`, version: position, position },
    ...{ type: 'Hit', data: { key, n }, time: at, recordedAt: at, tags: ['red', 'big'] },
  }
}

/** Documents in a map, and what was asked of it. */
function modelsIn(documents = new Map<string, StoredDocument>()) {
  const calls: string[] = []
  const models = {
    get: async (_table: string, keys: readonly string[]) => {
      calls.push(`get ${keys.join()}`)
      return keys.map((key) => documents.get(key))
    },
    lock: async (_table: string, keys: readonly string[]) => {
      calls.push(`lock ${keys.join()}`)
    },
    put: async (_table: string, written: readonly StoredDocument[]) => {
      calls.push(`put ${written.length}`)
      for (const document of written) documents.set(document.key, document)
    },
    remove: async (_table: string, keys: readonly string[]) => {
      calls.push(`remove ${keys.join()}`)
      for (const key of keys) documents.delete(key)
    },
    find: async () => [...documents.values()],
    count: async () => documents.size,
  }
  return { documents, calls, models: models as unknown as ModelAccess }
}

type Hits = Collection<{ n: number; m?: number }>

/** The collection of a handler whose definition is not typed here. */
function hitsOf(context: unknown): Hits {
  return (context as { collection: (name: string) => Hits }).collection('hits')
}

// Parts of a definition whose types are not the point here.
type Parts = object

function projectionOf(parts: Parts): AnyProjection {
  const made = defineProjection({
    ...{ name: 'hits', version: 1, events: [events] },
    collections: { hits: collection<{ n: number }>() },
    ...parts,
  } as never)
  return made as unknown as AnyProjection
}

function runOver(parts: Parts, models: ModelAccess, inline = false): ProjectionRun {
  const target = { models, sql: 'the connection' }
  const options = { clock: systemClock, qualifier: '"own".', inline }
  return new ProjectionRun(projectionOf(parts), 3, target, options)
}

describe('a run', () => {
  it('gives a batch to its handler at once, at the position of the last event', async () => {
    const seen: unknown[] = []
    const batch = async (list: readonly { position: number }[], ctx: { position: number }) => {
      seen.push([list.map(({ position }) => position), ctx.position])
    }
    const run = runOver({ batch } as Parts, modelsIn().models)
    await run.handle([hit(4), hit(7)])
    await run.handle([])
    expect(seen).toEqual([[[4, 7], 7]])
  })

  it('waits for a handler before the next, and skips types that it has none for', async () => {
    const seen: number[] = []
    const Hit = async ({ position }: { position: number }) => {
      await Promise.resolve()
      seen.push(position)
    }
    const run = runOver({ handlers: { Hit } } as Parts, modelsIn().models)
    await run.handle([hit(1), { ...hit(2), type: 'Other', data: null }, hit(3)])
    expect(seen).toEqual([1, 3])
  })

  it('names its tables and connection, and refuses names that it does not have', async () => {
    const seen: unknown[] = []
    const Hit = (_event: unknown, ctx: Record<'table' | 'collection', (n: string) => unknown>) => {
      seen.push(ctx.table('openHits'), (ctx as unknown as { sql: unknown }).sql)
      expect(() => ctx.table('hits')).toThrow(/no table "hits"/)
      expect(() => ctx.table('constructor')).toThrow(TypeError)
      expect(() => ctx.collection('openHits')).toThrow(/no collection "openHits"/)
    }
    const tables = { openHits: ['CREATE TABLE {table} (n int)', 'CREATE INDEX ON {table} (n)'] }
    const run = runOver({ tables, handlers: { Hit } } as Parts, modelsIn().models)
    await run.handle([hit(1)])
    expect(seen).toEqual(['"own"."open_hits__g3"', 'the connection'])
    expect(tablesOf(run.projection, 3).get('openHits')?.shape).toEqual({
      kind: 'sql',
      create: tables.openHits,
    })
    const one = projectionOf({ tables: { t: 'CREATE TABLE {table} (n int)' }, handlers: { Hit } })
    expect(tablesOf(one, 1).get('t')?.shape).toMatchObject({
      create: ['CREATE TABLE {table} (n int)'],
    })
  })

  it('stops after its time, and lets nothing be written afterwards', async () => {
    const { models, documents } = modelsIn()
    let late: Promise<unknown> | undefined
    const seen: number[] = []
    const handlers = {
      Hit: async ({ position }: { position: number }, ctx: never) => {
        seen.push(position)
        await new Promise((resolve) => setTimeout(resolve, 40))
        late = hitsOf(ctx).put('a', { n: 1 })
        await late.catch(() => {})
      },
    }
    const run = runOver({ handlers, timeLimitMs: 5 } as Parts, models)
    await expect(run.handle([hit(1), hit(2)])).rejects.toMatchObject({ code: 'PROJECTION_TIMEOUT' })
    await new Promise((resolve) => setTimeout(resolve, 80))
    await expect(late).rejects.toMatchObject({ code: 'ARGUMENT_INVALID', argument: 'context' })
    expect(seen).toEqual([1])
    expect(documents.size).toBe(0)
  })

  it('locks keys once, in their order, and reads each document once', async () => {
    const { models, calls } = modelsIn()
    const handlers = {
      Hit: async ({ data }: { data: { key: string } }, ctx: never) => {
        const hits = hitsOf(ctx)
        await hits.patch(data.key, (was: { n: number } | undefined) => ({ n: (was?.n ?? 0) + 1 }))
      },
    }
    const key = ({ data }: { data: { key: string } }) => data.key
    const parts = { handlers, key, orderInsensitive: true, mode: 'inline' } as Parts
    const run = runOver(parts, models, true)
    const list = [hit(1, 'b'), hit(2, 'a'), hit(3, 'b')]
    await run.take(list)
    await run.take(list)
    await run.take([])
    await run.handle(list)
    expect(calls).toEqual(['lock a,b', 'get a,b'])
    await run.end()
    expect(calls).toEqual(['lock a,b', 'get a,b', 'put 2'])
  })

  it('refuses an inline write below what was written, unless any order will do', async () => {
    const handlers = {
      Hit: (_event: unknown, ctx: never) => hitsOf(ctx).put('a', { n: 1 }),
    }
    const newer = () => new Map([['a', { key: 'a', value: { n: 9 }, position: 9 }]])
    const run = runOver({ handlers, mode: 'inline' } as Parts, modelsIn(newer()).models, true)
    await expect(run.handle([hit(5)])).rejects.toMatchObject({ code: 'PROJECTION_ORDER' })
    const any = { handlers, mode: 'inline', orderInsensitive: true } as Parts
    const { models, documents } = modelsIn(newer())
    const free = runOver(any, models, true)
    await free.handle([hit(5)])
    await free.end()
    expect(documents.get('a')).toEqual({ key: 'a', value: { n: 1 }, position: 5 })
  })
})

describe('the documents of a run', () => {
  const withHits = async (
    work: (hits: Hits) => Promise<unknown>,
    start?: Map<string, StoredDocument>,
  ) => {
    const kept = modelsIn(start)
    const handlers = {
      Hit: (_event: unknown, ctx: never) => work(hitsOf(ctx)),
    }
    const run = runOver({ handlers } as Parts, kept.models)
    await run.handle([hit(1)])
    await run.end()
    return kept
  }
  const start = () => new Map([['a', { key: 'a', value: { n: 1, m: 1 }, position: 1 }]])

  it('are put, patched and removed together', async () => {
    const { documents, calls } = await withHits(async (hits) => {
      await hits.delete('a')
      expect(await hits.get('a')).toBe(undefined)
      expect(await hits.patch('a', { n: 2 })).toBe(undefined)
      expect(await hits.patch('a', () => undefined)).toBe(undefined)
      expect(await hits.getMany(['a', 'b', 'a'])).toEqual([undefined, undefined, undefined])
    }, start())
    expect(documents.size).toBe(0)
    expect(calls).toEqual(['get b', 'remove a'])
  })

  it('keep what a patch does not name, and go when a change gives nothing', async () => {
    const { documents } = await withHits(async (hits) => {
      expect(await hits.patch('a', { n: 2 })).toEqual({ n: 2, m: 1 })
    }, start())
    expect(documents.get('a')?.value).toEqual({ n: 2, m: 1 })
    const gone = await withHits((hits) => hits.patch('a', () => undefined), start())
    expect(gone.documents.size).toBe(0)
  })

  it('are written before a find or a count, which are asked of the database', async () => {
    const { calls } = await withHits(async (hits) => {
      await hits.put('b', { n: 2 })
      expect(await hits.count({ n: 2 })).toBe(1)
      await hits.put('c', { n: 3 })
      expect(await hits.find()).toEqual([{ n: 2 }, { n: 3 }])
      await expect(hits.count({ n: { like: 1 } } as never)).rejects.toMatchObject({
        argument: 'where',
      })
    })
    expect(calls).toEqual(['put 1', 'put 1'])
  })

  it('are written in mid-batch when there are 10,000', async () => {
    const { calls, documents } = await withHits(async (hits) => {
      for (let n = 0; n < 10_001; n++) await hits.put(`k${n}`, { n })
    })
    expect(calls).toEqual(['put 10000', 'put 1'])
    expect(documents.size).toBe(10_001)
  })

  it.each(['', 'x'.repeat(501), '\ud800', 7])('have no key like %j', async (key) => {
    const bad = expect.objectContaining({ code: 'ARGUMENT_INVALID', argument: 'key' })
    await withHits(async (hits) => {
      await expect(hits.put(key as string, { n: 1 })).rejects.toEqual(bad)
      await expect(hits.get(key as string)).rejects.toEqual(bad)
      await hits.put('x'.repeat(500), { n: 1 })
    })
  })
})

describe('whether an event is wanted', () => {
  const handlers = { Hit: () => {} }
  it.each([
    [{}, true],
    [{ categories: ['t', 's'] }, true],
    [{ categories: ['t'] }, false],
    [{ tags: ['red'] }, true],
    [{ tags: ['red', 'small'] }, false],
    [{ categories: ['s'], tags: ['big', 'red'] }, true],
  ])('from %j: %s', (from, wanted) => {
    expect(isWanted(projectionOf({ handlers, from } as Parts), hit(1))).toBe(wanted)
  })

  it('not of another type', () => {
    expect(isWanted(projectionOf({ handlers } as Parts), { ...hit(1), type: 'Other' })).toBe(false)
  })
})

describe('a projection in memory', () => {
  it('passes over what its source leaves out, in parts of any size', async () => {
    const projection = defineProjection({
      ...{ name: 'hits', version: 1, events: [events], from: { tags: ['red'] } },
      collections: { hits: collection<{ n: number }>() },
      handlers: {
        Hit: ({ data }, ctx) =>
          ctx.collection('hits').patch('all', (was) => ({ n: (was?.n ?? 0) + data.n })),
      },
    })
    const many = Array.from({ length: 2500 }, (_, n) =>
      n % 2 === 0 ? hit(n + 1, 'a', 1) : { ...hit(n + 1, 'a', 1), tags: [] },
    )
    const live = await projectLive(projection, many)
    expect(await live.collection('hits').get('all')).toEqual({ n: 1250 })
    await live.apply([{ ...hit(2501, 'a', 1) }])
    expect(await live.collection('hits').getMany(['all', 'none'])).toEqual([{ n: 1251 }, undefined])
    expect(live.position).toBe(2501)
    const nameless = live as unknown as {
      collection: (name: string) => { count(): Promise<number> }
    }
    await expect(nameless.collection('none').count()).rejects.toMatchObject({ argument: 'table' })
  })

  it('lets events pass whose type it does not know', async () => {
    const projection = projectionOf({ handlers: { Hit: () => {} } } as Parts)
    const live = await projectLive(projection, [{ type: 'Unknown', data: null }])
    expect(live.position).toBe(1)
  })

  it('has no SQL tables', async () => {
    const projection = projectionOf({
      tables: { log: 'CREATE TABLE {table} (n int)' },
      handlers: { Hit: () => {} },
    } as Parts)
    await expect(projectLive(projection)).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' })
  })
})

describe('trouble with the storage', () => {
  it('is what may be tried again, and not a handler that was too slow', async () => {
    expect(isStorageTrouble(new Error('a fault of the handler'))).toBe(false)
    expect(isStorageTrouble(new StorageBusyError(5))).toBe(true)
    const run = runOver(
      { handlers: { Hit: () => new Promise(() => {}) }, timeLimitMs: 5 } as Parts,
      modelsIn().models,
    )
    const error = await run.handle([hit(1)]).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'PROJECTION_TIMEOUT' })
    expect(isStorageTrouble(error)).toBe(false)
  })
})
