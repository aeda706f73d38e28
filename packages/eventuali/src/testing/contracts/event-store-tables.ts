import assert from 'node:assert/strict'
import type { ModelTable } from '../../ports/index.ts'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import { found, makeFilled, makeTable, put } from './read-side-steps.ts'
import { counting, fresh, rolledBack } from './steps.ts'

const documents = { kind: 'documents', indexes: [] } as const

/** A fresh name for a view. */
function freshView(): string {
  return fresh('v')
}

async function publish(ctx: EventStoreContext, view: string, table: string): Promise<void> {
  await ctx.store.transaction((tx) => tx.models.publish(view, table))
}

/** Tables that come and go. */
const tableCases: readonly ContractCase<EventStoreContext>[] = [
  law('tables: one that was made is empty, and making it again changes nothing', async (ctx) => {
    const name = await makeTable(ctx.store)
    assert.equal(await ctx.store.models.count(name, []), 0)
    assert.deepEqual(await ctx.store.models.get(name, ['a']), [undefined])
    assert.deepEqual(await ctx.store.models.rows(name, { limit: 5 }), [])
    await put(ctx.store, name, [{ key: 'a', value: 1, position: 1 }])
    await ctx.store.transaction((tx) => tx.models.create({ name, shape: documents }))
    assert.equal(await found(ctx.store.models, name, {}), 'a')
  }),

  law('tables: one that is dropped is gone with everything in it', async (ctx) => {
    const name = await makeFilled(ctx.store, [1, 2])
    await ctx.store.transaction((tx) => tx.models.drop(name))
    await assert.rejects(ctx.store.models.get(name, ['a']))
    await assert.rejects(put(ctx.store, name, [{ key: 'a', value: 1, position: 1 }]))
    await ctx.store.transaction((tx) => tx.models.drop(name))
    await ctx.store.transaction(async (tx) => {
      await tx.models.create({ name, shape: documents })
      assert.equal(await tx.models.count(name, []), 0)
    })
    assert.equal(await ctx.store.models.count(name, []), 0)
  }),

  law('tables: dropped and made in one transaction, a table is empty', async (ctx) => {
    const name = await makeFilled(ctx.store, [1, 2])
    const renew = async (work: Parameters<typeof ctx.store.transaction>[0]) => {
      await ctx.store.transaction(work)
    }
    await renew(async (tx) => {
      await tx.models.drop(name)
      await tx.models.create({ name, shape: documents })
      await tx.models.put(name, [{ key: 'new', value: 1, position: 1 }])
    })
    assert.equal(await found(ctx.store.models, name, {}), 'new')
  }),

  law('tables: what is rolled back was never made, nor dropped', async (ctx) => {
    const [made, kept] = [fresh('t'), await makeFilled(ctx.store, [1, 2])]
    await rolledBack(ctx.store, async (tx) => {
      await tx.models.create({ name: made, shape: documents })
      await tx.models.put(made, [{ key: 'a', value: 1, position: 1 }])
      await tx.models.drop(kept)
    })
    await assert.rejects(ctx.store.models.get(made, ['a']))
    assert.equal(await found(ctx.store.models, kept, {}), 'a b')
  }),

  law('tables: the longest name, and two tables that differ in the end only', async (ctx) => {
    const name = fresh('t').padEnd(54, 'x')
    const names = [`${name}_1`, `${name}_2`]
    const indexes = [{ path: ['n'], type: 'number' }] as const
    await ctx.store.transaction(async (tx) => {
      for (const one of names) {
        await tx.models.create({ name: one, shape: { kind: 'documents', indexes } })
        await tx.models.put(one, [{ key: one.slice(-1), value: { n: 1 }, position: 1 }])
      }
    })
    for (const one of names) {
      assert.equal(await found(ctx.store.models, one, {}), one.slice(-1))
    }
    await ctx.store.transaction((tx) => tx.models.drop(names[0] as string))
    assert.equal(await found(ctx.store.models, names[1] as string, {}), '2')
  }),
]

/** Views: one name, whatever the generation. */
const viewCases: readonly ContractCase<EventStoreContext>[] = [
  law('views: a published one shows its table, in every read', async (ctx) => {
    const [view, table] = [freshView(), await makeFilled(ctx.store, [{ n: 1 }, { n: 2 }])]
    await publish(ctx, view, table)
    const { models } = ctx.store
    const filters = [{ path: ['n'], operator: 'gt' as const, value: 1 }]
    assert.equal(await found(models, view, { filters }), 'b')
    assert.equal(await models.count(view, []), 2)
    assert.deepEqual(await models.get(view, ['a']), [{ key: 'a', value: { n: 1 }, position: 1 }])
    assert.deepEqual(await models.rows(view, { limit: 1 }), [{ key: 'a', value: { n: 1 } }])
    await put(ctx.store, table, [{ key: 'c', value: { n: 3 }, position: 2 }])
    assert.equal(await found(models, view, { filters }), 'b c')
    await ctx.store.transaction(async (tx) => {
      assert.equal(await found(tx.models, view, { filters }), 'b c')
    })
  }),

  law('views: publishing again switches, and rolled back it does not', async (ctx) => {
    const view = freshView()
    const [one, two] = [await makeFilled(ctx.store, [1]), await makeFilled(ctx.store, [1, 2])]
    await publish(ctx, view, one)
    await rolledBack(ctx.store, (tx) => tx.models.publish(view, two))
    assert.equal(await found(ctx.store.models, view, {}), 'a')
    await ctx.store.transaction(async (tx) => {
      await tx.models.publish(view, two)
      assert.equal(await found(tx.models, view, {}), 'a b')
    })
    assert.equal(await found(ctx.store.models, view, {}), 'a b')
    await publish(ctx, view, one)
    assert.equal(await found(ctx.store.models, view, {}), 'a')
  }),

  law('views: after a switch the table of before can be dropped', async (ctx) => {
    const view = freshView()
    const [one, two] = [await makeFilled(ctx.store, [1]), await makeFilled(ctx.store, [1, 2])]
    await publish(ctx, view, one)
    await ctx.store.transaction(async (tx) => {
      await tx.models.publish(view, two)
      await tx.models.drop(one)
    })
    assert.equal(await found(ctx.store.models, view, {}), 'a b')
    await assert.rejects(ctx.store.models.count(one, []))
  }),

  law('views: one that is taken back is gone, its table is not', async (ctx) => {
    const [view, table] = [freshView(), await makeFilled(ctx.store, [1])]
    await publish(ctx, view, table)
    await ctx.store.transaction((tx) => tx.models.unpublish(view))
    await assert.rejects(ctx.store.models.get(view, ['a']))
    assert.equal(await found(ctx.store.models, table, {}), 'a')
    await ctx.store.transaction((tx) => tx.models.unpublish(view))
    await ctx.store.transaction((tx) => tx.models.drop(table))
  }),

  law('views: two that switch together do so in one moment for readers', async (ctx) => {
    const views = [freshView(), freshView()] as const
    const tables = await Promise.all(
      counting(2).map(async (n) => [
        await makeFilled(ctx.store, [n]),
        await makeFilled(ctx.store, [n]),
      ]),
    )
    const switchTo = (to: number) =>
      ctx.store.transaction(async (tx) => {
        for (const [i, view] of views.entries()) {
          await tx.models.publish(view, tables[to]?.[i] as string)
        }
      })
    await switchTo(0)
    let isDone = false
    const seen: unknown[][] = []
    const reader = async () => {
      while (!isDone) {
        await ctx.store.transaction(async (tx) => {
          const values = []
          for (const view of views) values.push((await tx.models.get(view, ['a']))[0]?.value)
          seen.push(values)
        })
        for (const view of views) assert.equal(await ctx.store.models.count(view, []), 1)
      }
    }
    const readers = [reader(), reader()]
    try {
      for (const i of counting(10)) await switchTo(i % 2)
    } finally {
      isDone = true
    }
    await Promise.all(readers)
    assert.ok(seen.length > 0)
    for (const values of seen) assert.ok(values[0] === 1 || values[0] === 2, String(values))
  }),

  law(
    'views: another handle sees the switch',
    async (ctx) => {
      const other = await ctx.openAgain()
      const view = freshView()
      const [one, two] = [await makeFilled(ctx.store, [1]), await makeFilled(ctx.store, [1, 2])]
      for (const [table, keys] of [
        [one, 'a'],
        [two, 'a b'],
        [one, 'a'],
      ] as const) {
        await publish(ctx, view, table)
        assert.equal(await found(other.models, view, {}), keys)
      }
    },
    'shared',
  ),
]

/** Rows, for comparing two generations. */
const rowCases: readonly ContractCase<EventStoreContext>[] = [
  law('rows: in key order, in pages that follow each other', async (ctx) => {
    const keys = ['B', 'a', 'ab', '\uff5a', '\u{1f680}']
    const table = await makeFilled(ctx.store, Object.fromEntries(keys.map((key) => [key, { key }])))
    const paged: string[] = []
    let after: string | undefined
    for (;;) {
      const rows = await ctx.store.models.rows(table, { after, limit: 2 })
      if (rows.length === 0) break
      assert.ok(rows.length <= 2)
      for (const { key, value } of rows) {
        assert.deepEqual(value, { key })
        paged.push(key)
      }
      after = rows.at(-1)?.key
    }
    assert.deepEqual(paged, keys)
    assert.deepEqual(await ctx.store.models.rows(table, { after: 'aa', limit: 1 }), [
      { key: 'ab', value: { key: 'ab' } },
    ])
  }),

  law('rows: of two tables with the same documents are the same', async (ctx) => {
    const values = { x: { a: 1, b: [1e21, 0.1] }, y: 'text', z: null }
    const one = await makeFilled(ctx.store, values)
    const two = await makeTable(ctx.store, [{ path: ['a'], type: 'number' }])
    await put(
      ctx.store,
      two,
      Object.entries(values).map(([key, value]) => ({ key, value, position: 99 })),
    )
    const [rows1, rows2] = await Promise.all(
      [one, two].map((table) => ctx.store.models.rows(table, { limit: 10 })),
    )
    assert.equal(JSON.stringify(rows1), JSON.stringify(rows2))
    assert.equal(rows1?.length, 3)
  }),
]

/** A table of the user's own, in SQL that every database knows. */
function ownTable(name: string): ModelTable {
  const create = [
    'CREATE TABLE {table} (id integer NOT NULL, part text NOT NULL, title text, PRIMARY KEY (part, id))',
    'CREATE INDEX {table}_title ON {table} (title)',
  ]
  return { name, shape: { kind: 'sql', create } }
}

/** Tables of the user's own. */
const sqlCases: readonly ContractCase<EventStoreContext>[] = [
  law(
    "sql tables: are made from the user's own statements, dropped and rolled back",
    async (ctx) => {
      const name = fresh('t')
      const { models } = ctx.store
      await rolledBack(ctx.store, (tx) => tx.models.create(ownTable(name)))
      await assert.rejects(models.rows(name, { limit: 1 }))
      await ctx.store.transaction((tx) => tx.models.create(ownTable(name)))
      await ctx.store.transaction((tx) => tx.models.create(ownTable(name)))
      assert.deepEqual(await models.rows(name, { limit: 1 }), [])
      const view = freshView()
      await publish(ctx, view, name)
      assert.deepEqual(await models.rows(view, { limit: 1 }), [])
      await ctx.store.transaction(async (tx) => {
        await tx.models.unpublish(view)
        await tx.models.drop(name)
      })
      await assert.rejects(models.rows(name, { limit: 1 }))
    },
    'sql',
  ),

  law(
    'sql tables: rows have their primary key as a JSON array, and come in its order',
    async (ctx) => {
      const name = fresh('t')
      const values = ["(10, 'a', 'x')", "(9, 'a', NULL)", "(1, 'b', 'ä')", "(2, 'B', '''')"]
      const insert = `INSERT INTO {table} (id, part, title) VALUES ${values.join(', ')}`
      const { name: _, shape } = ownTable(name)
      const create = [...(shape.kind === 'sql' ? shape.create : []), insert]
      await ctx.store.transaction((tx) =>
        tx.models.create({ name, shape: { kind: 'sql', create } }),
      )
      const expected = [
        { key: '["B",2]', value: { id: 2, part: 'B', title: "'" } },
        { key: '["a",9]', value: { id: 9, part: 'a', title: null } },
        { key: '["a",10]', value: { id: 10, part: 'a', title: 'x' } },
        { key: '["b",1]', value: { id: 1, part: 'b', title: 'ä' } },
      ]
      assert.deepEqual(await ctx.store.models.rows(name, { limit: 10 }), expected)
      const paged = []
      let after: string | undefined
      for (const _ of expected) {
        const rows = await ctx.store.models.rows(name, { after, limit: 1 })
        paged.push(...rows)
        after = rows[0]?.key
      }
      assert.deepEqual(paged, expected)
      assert.deepEqual(await ctx.store.models.rows(name, { after, limit: 1 }), [])
    },
    'sql',
  ),
]

/** Tables of read models, and the views through which readers see them. */
export const modelTableCases: readonly ContractCase<EventStoreContext>[] = [
  ...tableCases,
  ...viewCases,
  ...rowCases,
  ...sqlCases,
]
