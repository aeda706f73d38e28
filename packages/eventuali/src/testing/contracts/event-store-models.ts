import assert from 'node:assert/strict'
import type { Json } from '../../model/index.ts'
import type { StoredDocument } from '../../ports/index.ts'
import { type EventStoreContext, law, pause } from './context.ts'
import type { ContractCase } from './contract.ts'
import { found, makeFilled, makeTable, put } from './read-side-steps.ts'
import { counting, freshStream, rolledBack } from './steps.ts'

function document(key: string, value: Json, position = 1): StoredDocument {
  return { key, value, position }
}

/** Documents by key. */
const documentCases: readonly ContractCase<EventStoreContext>[] = [
  law('documents: what was put is got, in the order asked for', async (ctx) => {
    const table = await makeTable(ctx.store)
    const [a, b] = [document('a', { n: 1 }, 7), document('b', [1, 'x', null], 2 ** 40)]
    await put(ctx.store, table, [b, a])
    assert.deepEqual(await ctx.store.models.get(table, ['b', 'none', 'a', 'b']), [
      b,
      undefined,
      a,
      b,
    ])
    assert.deepEqual(await ctx.store.models.get(table, []), [])
    await put(ctx.store, table, [])
    assert.equal(await ctx.store.models.count(table, []), 2)
  }),

  law('documents: put writes over what is there', async (ctx) => {
    const table = await makeTable(ctx.store)
    await put(ctx.store, table, [document('a', { n: 1, old: true }), document('b', 1)])
    await put(ctx.store, table, [document('c', 3, 9), document('a', { n: 2 }, 9)])
    assert.deepEqual(await ctx.store.models.get(table, ['a', 'b', 'c']), [
      document('a', { n: 2 }, 9),
      document('b', 1),
      document('c', 3, 9),
    ])
  }),

  law('documents: put in a transaction again and again keeps the last', async (ctx) => {
    const table = await makeTable(ctx.store)
    await ctx.store.transaction(async (tx) => {
      for (const n of counting(5)) await tx.models.put(table, [document('a', { n }, n)])
    })
    assert.deepEqual(await ctx.store.models.get(table, ['a']), [document('a', { n: 5 }, 5)])
  }),

  law('documents: a removed one is gone, one that is not there is no matter', async (ctx) => {
    const table = await makeFilled(ctx.store, [1, 2, 3])
    await ctx.store.transaction((tx) => tx.models.remove(table, ['b', 'none', 'a']))
    assert.deepEqual(await ctx.store.models.get(table, ['a', 'b']), [undefined, undefined])
    assert.equal(await found(ctx.store.models, table, {}), 'c')
    await ctx.store.transaction((tx) => tx.models.remove(table, []))
    await put(ctx.store, table, [document('a', 4)])
    assert.deepEqual(await ctx.store.models.get(table, ['a']), [document('a', 4)])
  }),

  law('documents: values are kept exactly', async (ctx) => {
    const values: Json[] = [
      null,
      true,
      0,
      1e21,
      1.7976931348623157e308,
      5e-324,
      0.1,
      9007199254740991,
      -123456789.123,
      '',
      'ä\u{1f680}"\\\n\t\u0001\u007f\u2028',
      [],
      {},
      [[], {}, [null]],
      { z: 1, a: 2, '': 3, '10': 4, '9': 5, 'a.b': { "'": '"' } },
    ]
    const table = await makeTable(ctx.store)
    const documents = values.map((value, i) => document(`k${i}`, value))
    await put(ctx.store, table, documents)
    const keys = documents.map(({ key }) => key)
    const read = await ctx.store.models.get(table, keys)
    // As text, in which the order of properties counts.
    assert.deepEqual(
      read.map((one) => JSON.stringify(one?.value)),
      values.map((value) => JSON.stringify(value)),
    )
    const rows = await ctx.store.models.rows(table, { limit: 100 })
    const byKey = new Map(rows.map(({ key, value }) => [key, JSON.stringify(value)]))
    assert.deepEqual(
      keys.map((key) => byKey.get(key)),
      values.map((value) => JSON.stringify(value)),
    )
  }),

  law('documents: -0 becomes 0, as in all JSON', async (ctx) => {
    const table = await makeFilled(ctx.store, [{ n: -0 }])
    const [read] = await ctx.store.models.get(table, ['a'])
    assert.ok(read !== undefined && Object.is((read.value as { n: number }).n, 0))
    const filters = [{ path: ['n'], operator: 'eq' as const, value: -0 }]
    assert.equal(await found(ctx.store.models, table, { filters }), 'a')
  }),

  law('documents: a big one and many are kept', async (ctx) => {
    const table = await makeTable(ctx.store)
    const big = document('big', { text: 'ä'.repeat(700_000), list: counting(20_000) })
    const many = counting(3000).map((n) => document(`m${String(n).padStart(4, '0')}`, { n }))
    await put(ctx.store, table, [big, ...many])
    assert.deepEqual(await ctx.store.models.get(table, ['big']), [big])
    const read = await ctx.store.models.get(
      table,
      many.map(({ key }) => key),
    )
    assert.deepEqual(read, many)
    assert.equal(await ctx.store.models.count(table, []), 3001)
    await ctx.store.transaction((tx) =>
      tx.models.remove(
        table,
        many.slice(1).map(({ key }) => key),
      ),
    )
    assert.equal(await found(ctx.store.models, table, {}), 'big m0001')
  }),

  law('documents: keys of any characters are apart and in order', async (ctx) => {
    const keys = [
      "'; --",
      '%',
      'A',
      'a',
      'a ',
      '\u00e4',
      'a\u0308',
      '\uff5a',
      '\u{1f680}',
      ' a',
    ].sort()
    const table = await makeTable(ctx.store)
    await put(
      ctx.store,
      table,
      keys.map((key) => document(key, key)),
    )
    const read = await ctx.store.models.get(table, keys)
    assert.deepEqual(
      read.map((one) => one?.value),
      keys,
    )
    const all = await ctx.store.models.find(table, { filters: [], sort: [] })
    const inOrder = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    assert.deepEqual(
      all.map(({ key }) => key),
      inOrder,
    )
  }),

  law('documents: what a reader changes is not changed in the store', async (ctx) => {
    const table = await makeFilled(ctx.store, [{ list: [1] }])
    const change = (one: StoredDocument | undefined) => {
      assert.ok(one !== undefined)
      ;(one.value as { list: number[] }).list.push(2)
    }
    change((await ctx.store.models.get(table, ['a']))[0])
    change((await ctx.store.models.find(table, { filters: [], sort: [] }))[0])
    assert.deepEqual(await ctx.store.models.get(table, ['a']), [document('a', { list: [1] })])
  }),
]

/** Documents in transactions. */
const unitCases: readonly ContractCase<EventStoreContext>[] = [
  law('documents: a transaction sees its own, others only what is committed', async (ctx) => {
    const table = await makeFilled(ctx.store, [{ n: 1 }, { n: 2 }])
    // A store with one connection may let these wait until the transaction has ended.
    const outside: Promise<unknown>[] = []
    const { models } = ctx.store
    await rolledBack(ctx.store, async (tx) => {
      await tx.models.put(table, [document('a', { n: 9 }), document('c', { n: 3 })])
      await tx.models.remove(table, ['b'])
      assert.equal(await found(tx.models, table, {}), 'a c')
      const filters = [{ path: ['n'], operator: 'gt' as const, value: 2 }]
      assert.equal(await found(tx.models, table, { filters }), 'a c')
      assert.equal(await tx.models.count(table, filters), 2)
      assert.deepEqual(await tx.models.get(table, ['b']), [undefined])
      outside.push(found(models, table, {}), models.get(table, ['a']))
      await pause(20)
    })
    assert.deepEqual(await Promise.all(outside), ['a b', [document('a', { n: 1 })]])
    assert.equal(await found(models, table, {}), 'a b')
  }),

  law('documents: documents, a record and an append are one unit', async (ctx) => {
    const table = await makeTable(ctx.store)
    const [kept, gone] = [freshStream(), freshStream()]
    await ctx.store.transaction(async (tx) => {
      await ctx.on(tx).append(kept, 1)
      await tx.models.put(table, [document('kept', 1)])
    })
    await rolledBack(ctx.store, async (tx) => {
      await ctx.on(tx).append(gone, 1)
      await tx.models.put(table, [document('gone', 1)])
    })
    assert.equal(await found(ctx.store.models, table, {}), 'kept')
    assert.equal(await ctx.info(gone), undefined)
  }),

  law('documents: under locks nobody loses what another has written', async (ctx) => {
    const table = await makeTable(ctx.store)
    const orders = [
      ['a', 'b'],
      ['b', 'a'],
    ]
    await Promise.all(
      counting(12).map((i) =>
        ctx.store.transaction(async (tx) => {
          const keys = orders[i % 2] as string[]
          await tx.models.lock(table, keys)
          const read = await tx.models.get(table, keys)
          await pause(1)
          await tx.models.put(
            table,
            keys.map((key, at) => document(key, Number(read[at]?.value ?? 0) + 1, i)),
          )
        }),
      ),
    )
    const read = await ctx.store.models.get(table, ['a', 'b'])
    assert.deepEqual(
      read.map((one) => one?.value),
      [12, 12],
    )
  }),

  law(
    'documents: another handle sees what was committed',
    async (ctx) => {
      const early = await ctx.openAgain()
      const table = await makeFilled(ctx.store, [{ n: 1 }, { n: 2 }])
      const late = await ctx.openAgain()
      const filters = [{ path: ['n'], operator: 'eq' as const, value: 2 }]
      for (const { models } of [early, late]) {
        assert.equal(await found(models, table, { filters }), 'b')
        assert.equal((await models.rows(table, { limit: 9 })).length, 2)
      }
    },
    'durable',
  ),

  law('documents: an aborted signal ends a read with its reason', async (ctx) => {
    const table = await makeFilled(ctx.store, [1])
    const reason = new Error('enough')
    const signal = AbortSignal.abort(reason)
    const isReason = (error: unknown) => error === reason
    const { models } = ctx.store
    await assert.rejects(models.get(table, ['a'], { signal }), isReason)
    await assert.rejects(models.find(table, { filters: [], sort: [] }, { signal }), isReason)
    await assert.rejects(models.count(table, [], { signal }), isReason)
    await assert.rejects(models.rows(table, { limit: 1 }, { signal }), isReason)
  }),
]

/** Documents of read models. */
export const modelCases: readonly ContractCase<EventStoreContext>[] = [
  ...documentCases,
  ...unitCases,
]
