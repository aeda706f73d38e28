import assert from 'node:assert/strict'
import type {
  RecordChange,
  RecordQuery,
  StoredRecord,
  StoreTransaction,
} from '../../ports/index.ts'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import { write } from './read-side-steps.ts'
import { counting, fresh, rejectsWith } from './steps.ts'

const codePoints = ['a', 'ab', 'ä', 'ｚ', '\u{1f680}', '\u{10ffff}']

function made(kind: string, key: string, over: Partial<RecordChange> = {}): RecordChange {
  return { kind, key, expected: 'any', value: { key }, ...over }
}

async function keysOf(ctx: EventStoreContext, query: Partial<RecordQuery> & { kind: string }) {
  const found = await ctx.store.records.list({ limit: 1000, ...query })
  return found.map(({ key }) => key)
}

async function one(ctx: EventStoreContext, kind: string, key: string) {
  return (await ctx.store.records.get(kind, [key]))[0]
}

/** Single records: what is written is there, at its revision. */
const singleCases: readonly ContractCase<EventStoreContext>[] = [
  law('records: what was written is read back, with its revision', async (ctx) => {
    const kind = fresh('k')
    const change = { kind, key: 'a', expected: 0, value: { n: [1, null] }, state: 'on', due: 17 }
    assert.deepEqual(await write(ctx.store, [change]), [1])
    const { expected: _, ...rest } = change
    const record: StoredRecord = { ...rest, revision: 1 }
    assert.deepEqual(await one(ctx, kind, 'a'), record)
    assert.deepEqual(await ctx.store.records.list({ kind, limit: 5 }), [record])
    await ctx.store.transaction(async (tx) => {
      assert.deepEqual(await tx.records.get(kind, ['a']), [record])
      assert.deepEqual(await tx.records.lock(kind, ['a']), [record])
    })
  }),

  law('records: each write is the next revision and replaces everything', async (ctx) => {
    const kind = fresh('k')
    const first = { kind, key: 'a', expected: 0, value: 'x', state: 'on', due: 5 }
    assert.deepEqual(await write(ctx.store, [first]), [1])
    assert.deepEqual(await write(ctx.store, [made(kind, 'a', { expected: 1 })]), [2])
    const found = await one(ctx, kind, 'a')
    assert.deepEqual(found?.value, { key: 'a' })
    assert.deepEqual([found?.state, found?.due, found?.revision], [undefined, undefined, 2])
    assert.deepEqual(await write(ctx.store, [made(kind, 'a')]), [3])
    assert.equal((await one(ctx, kind, 'a'))?.revision, 3)
  }),

  law('records: another revision than the expected one is a conflict', async (ctx) => {
    const kind = fresh('k')
    await write(ctx.store, [made(kind, 'a')])
    const wrong = [
      made(kind, 'a', { expected: 0 }),
      made(kind, 'a', { expected: 2 }),
      made(kind, 'b', { expected: 1 }),
      { kind, key: 'a', expected: 2 },
      { kind, key: 'a', expected: 0 },
      { kind, key: 'b', expected: 1 },
    ]
    for (const change of wrong) {
      await rejectsWith('RECORD_CONFLICT', () => write(ctx.store, [change]))
    }
    assert.equal((await one(ctx, kind, 'a'))?.revision, 1)
    assert.equal(await one(ctx, kind, 'b'), undefined)
  }),

  law('records: a conflict names its record and undoes its transaction', async (ctx) => {
    const [kind, stream] = [fresh('k'), `${fresh('c')}-1`]
    await write(ctx.store, [made(kind, 'there')])
    const work = async (tx: StoreTransaction) => {
      await ctx.on(tx).append(stream, 1)
      await tx.records.write([made(kind, 'new'), made(kind, 'there', { expected: 7 })])
    }
    await assert.rejects(ctx.store.transaction(work), {
      code: 'RECORD_CONFLICT',
      retryable: true,
      kind,
      key: 'there',
    })
    assert.equal(await one(ctx, kind, 'new'), undefined)
    assert.equal(await ctx.info(stream), undefined)
  }),

  law('records: one without a value is removed, and made again it begins at 1', async (ctx) => {
    const kind = fresh('k')
    await write(ctx.store, [made(kind, 'a'), made(kind, 'b')])
    await write(ctx.store, [made(kind, 'a')])
    assert.deepEqual(await write(ctx.store, [{ kind, key: 'a', expected: 2 }]), [0])
    assert.equal(await one(ctx, kind, 'a'), undefined)
    assert.deepEqual(await keysOf(ctx, { kind }), ['b'])
    assert.deepEqual(await write(ctx.store, [{ kind, key: 'a', expected: 'any' }]), [0])
    assert.deepEqual(await write(ctx.store, [{ kind, key: 'a', expected: 0 }]), [0])
    assert.deepEqual(await write(ctx.store, [made(kind, 'a', { expected: 0 })]), [1])
  }),

  law('records: a removal and a new one may be in one transaction', async (ctx) => {
    const kind = fresh('k')
    await write(ctx.store, [made(kind, 'a')])
    await ctx.store.transaction(async (tx) => {
      assert.deepEqual(await tx.records.write([{ kind, key: 'a', expected: 1 }]), [0])
      assert.deepEqual(await tx.records.get(kind, ['a']), [undefined])
      assert.deepEqual(await tx.records.write([made(kind, 'a', { expected: 0 })]), [1])
    })
    assert.equal((await one(ctx, kind, 'a'))?.revision, 1)
  }),

  law('records: get gives one for each key, in the order asked for', async (ctx) => {
    const kind = fresh('k')
    await write(ctx.store, [made(kind, 'a'), made(kind, 'b')])
    const found = await ctx.store.records.get(kind, ['b', 'none', 'a', 'b'])
    assert.deepEqual(
      found.map((record) => record?.key),
      ['b', undefined, 'a', 'b'],
    )
    assert.deepEqual(await ctx.store.records.get(kind, []), [])
    assert.deepEqual(await ctx.store.records.get(fresh('k'), ['a']), [undefined])
  }),

  law('records: write gives a revision for each change, in their order', async (ctx) => {
    const kind = fresh('k')
    await write(ctx.store, [made(kind, 'b'), made(kind, 'c')])
    await write(ctx.store, [made(kind, 'c')])
    const changes = [made(kind, 'c'), made(kind, 'a'), { kind, key: 'b', expected: 1 }]
    assert.deepEqual(await write(ctx.store, changes), [3, 1, 0])
    assert.deepEqual(await write(ctx.store, []), [])
  }),

  law('records: kinds are apart', async (ctx) => {
    const [a, b] = [fresh('k'), fresh('k')]
    await write(ctx.store, [made(a, 'x', { value: 1 }), made(b, 'x', { value: 2 })])
    await write(ctx.store, [{ kind: a, key: 'x', expected: 1 }])
    assert.equal(await one(ctx, a, 'x'), undefined)
    assert.equal((await one(ctx, b, 'x'))?.value, 2)
    assert.deepEqual(await keysOf(ctx, { kind: a }), [])
  }),

  law('records: values are kept exactly', async (ctx) => {
    const kind = fresh('k')
    const values = [
      null,
      false,
      0,
      1e21,
      0.1,
      -9007199254740991,
      5e-324,
      '',
      'ä\u{1f680}"\\\n\u0000',
      [],
      {},
      { b: 1, a: [{ '': null, 'x.y': '$' }] },
      'x'.repeat(300_000),
    ]
    const changes = values.map((value, i) => made(kind, `${i}`, { value }))
    await write(ctx.store, changes)
    const found = await ctx.store.records.get(kind, [...values.keys()].map(String))
    const texts = found.map((record) => JSON.stringify(record?.value))
    assert.deepEqual(
      texts,
      values.map((value) => JSON.stringify(value)),
    )
  }),
]

/** Lists of records. */
const listCases: readonly ContractCase<EventStoreContext>[] = [
  law('records: list goes by key, in the order of code points', async (ctx) => {
    const kind = fresh('k')
    const changes = codePoints.toReversed().map((key) => made(kind, key))
    await write(ctx.store, changes)
    assert.deepEqual(await keysOf(ctx, { kind }), codePoints)
    assert.deepEqual(await keysOf(ctx, { kind, limit: 2 }), codePoints.slice(0, 2))
    assert.deepEqual(await keysOf(ctx, { kind, after: 'ｚ' }), codePoints.slice(4))
    assert.deepEqual(await keysOf(ctx, { kind, after: 'aa', limit: 1 }), ['ab'])
    assert.deepEqual(await keysOf(ctx, { kind, after: '\u{10ffff}' }), [])
  }),

  law('records: a prefix is taken literally', async (ctx) => {
    const kind = fresh('k')
    const keys = ['a%b/1', 'a%b/2', 'aXb/1', 'a_b/1', 'A%b/1', 'a%', '\u{10ffff}\u{10ffff}']
    await write(
      ctx.store,
      keys.map((key) => made(kind, key)),
    )
    assert.deepEqual(await keysOf(ctx, { kind, prefix: 'a%b/' }), ['a%b/1', 'a%b/2'])
    assert.deepEqual(await keysOf(ctx, { kind, prefix: 'a_' }), ['a_b/1'])
    assert.deepEqual(await keysOf(ctx, { kind, prefix: '\u{10ffff}' }), ['\u{10ffff}\u{10ffff}'])
    assert.deepEqual(await keysOf(ctx, { kind, prefix: 'a%b/', after: 'a%b/1' }), ['a%b/2'])
    assert.deepEqual(await keysOf(ctx, { kind, prefix: 'none' }), [])
    assert.equal((await keysOf(ctx, { kind, prefix: '' })).length, keys.length)
  }),

  law('records: list by state', async (ctx) => {
    const kind = fresh('k')
    await write(ctx.store, [
      made(kind, 'x/1', { state: 'parked' }),
      made(kind, 'x/2', { state: 'done' }),
      made(kind, 'x/3', { state: 'parked' }),
      made(kind, 'y/1', { state: 'parked' }),
      made(kind, 'x/4'),
    ])
    assert.deepEqual(await keysOf(ctx, { kind, state: 'parked' }), ['x/1', 'x/3', 'y/1'])
    assert.deepEqual(await keysOf(ctx, { kind, state: 'parked', prefix: 'x/', limit: 1 }), ['x/1'])
    assert.deepEqual(await keysOf(ctx, { kind, state: 'parked', after: 'x/1' }), ['x/3', 'y/1'])
    await write(ctx.store, [made(kind, 'x/1', { state: 'done' })])
    assert.deepEqual(await keysOf(ctx, { kind, state: 'done' }), ['x/1', 'x/2'])
  }),

  law('records: what is due comes earliest first, then by key', async (ctx) => {
    const kind = fresh('k')
    const far = 253_402_300_799_999
    await write(ctx.store, [
      made(kind, 'c', { due: 10 }),
      made(kind, 'a', { due: 20, state: 'on' }),
      made(kind, 'b', { due: 10, state: 'on' }),
      made(kind, 'd', { due: 9 }),
      made(kind, 'e', { due: far }),
      made(kind, 'f', { due: -5 }),
      made(kind, 'g'),
    ])
    assert.deepEqual(await keysOf(ctx, { kind, dueUpTo: 20 }), ['f', 'd', 'b', 'c', 'a'])
    assert.deepEqual(await keysOf(ctx, { kind, dueUpTo: 19 }), ['f', 'd', 'b', 'c'])
    assert.deepEqual(await keysOf(ctx, { kind, dueUpTo: 20, limit: 3 }), ['f', 'd', 'b'])
    assert.deepEqual(await keysOf(ctx, { kind, dueUpTo: 20, state: 'on' }), ['b', 'a'])
    assert.deepEqual(await keysOf(ctx, { kind, dueUpTo: 20, prefix: 'c' }), ['c'])
    assert.deepEqual(await keysOf(ctx, { kind, dueUpTo: far - 1, prefix: 'e' }), [])
    assert.deepEqual((await keysOf(ctx, { kind, dueUpTo: far })).at(-1), 'e')
    await write(ctx.store, [made(kind, 'd')])
    assert.deepEqual(await keysOf(ctx, { kind, dueUpTo: 10 }), ['f', 'b', 'c'])
  }),

  law('records: a thousand are written, listed and read at once', async (ctx) => {
    const kind = fresh('k')
    const key = (n: number) => `${'x'.repeat(490)}${String(n).padStart(10, '0')}`
    const keys = counting(1000).map(key)
    const revisions = await write(
      ctx.store,
      keys.map((k) => made(kind, k)),
    )
    assert.ok(revisions.every((revision) => revision === 1))
    assert.deepEqual(await keysOf(ctx, { kind }), keys)
    const found = await ctx.store.records.get(kind, keys)
    assert.deepEqual(
      found.map((record) => record?.key),
      keys,
    )
  }),

  law('records: an aborted signal ends a read with its reason', async (ctx) => {
    const reason = new Error('enough')
    const signal = AbortSignal.abort(reason)
    const isReason = (error: unknown) => error === reason
    const { records } = ctx.store
    await assert.rejects(records.get('none', ['a'], { signal }), isReason)
    await assert.rejects(records.list({ kind: 'none', limit: 1 }, { signal }), isReason)
  }),
]

/** Records of the read side: single ones and lists. */
export const recordCases: readonly ContractCase<EventStoreContext>[] = [
  ...singleCases,
  ...listCases,
]
