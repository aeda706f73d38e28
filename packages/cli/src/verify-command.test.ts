import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { openStore, type VerifyReport } from 'eventuali'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { run } from './run.test-support.ts'

let folder: string
let store: string
let config: string

const library = fileURLToPath(import.meta.resolve('eventuali'))

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-verify-'))
  store = `sqlite:${join(folder, 'shop.db')}`
  config = join(folder, 'read-side.mjs')
  writeFileSync(
    config,
    `import { collection, defineAggregate, defineEvents, defineProjection, type } from '${library}'
     export const events = defineEvents({ Sold: type() })
     export const sale = defineAggregate('sale', {
       events,
       initial: () => ({ cents: 0 }),
       evolve: { Sold: (state, { data }) => ({ cents: state.cents + data.cents }) },
       commands: {},
     })
     export const projections = ['shops', 'sums'].map((name) => defineProjection({
       name,
       version: 1,
       events: [events],
       collections: { [name]: collection() },
       handlers: {
         Sold: ({ data }, ctx) =>
           ctx.collection(name).patch(data.shop, (was) => ({ cents: (was?.cents ?? 0) + data.cents })),
       },
     }))`,
  )
  const { projections, sale } = await import(config)
  const opened = await openStore(store, { projections, snapshots: { every: 1 } })
  await opened.projections.start()
  for (let n = 1; n <= 6; n++) {
    await opened.append(`sale-${n % 2}`, { type: 'Sold', data: { shop: `s${n % 3}`, cents: n } })
  }
  for (const name of ['shops', 'sums']) await opened.projected(name, 6)
  await opened.snapshots.take(sale, '1')
  await opened.close()
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

function change(sql: string): void {
  const database = new DatabaseSync(join(folder, 'shop.db'))
  database.exec(sql)
  database.close()
}

it('folds again what a module exports', async () => {
  const { code, out } = await run(['verify', '-s', store, '-c', config, '--seed', '7'])
  expect(code).toBe(0)
  expect(out).toBe(
    [
      'shops: 3 rows as the events up to 6 give',
      'sums: 3 rows as the events up to 6 give',
      '1 kept state, 1 folded again (seed 7)',
      '6 events, 2 streams, 6 checkpoints: no problems\n',
    ].join('\n'),
  )
  const named = await run(['verify', '-s', store, '-c', config, '--projections', 'sums', '--json'])
  const report = JSON.parse(named.out) as VerifyReport
  expect(report.projections).toEqual([{ projection: 'sums', position: 6, same: 3 }])
})

it('names the place and says what to do', async () => {
  change(`UPDATE shops__g1 SET doc = '{"cents":99}' WHERE key = 's1'`)
  const args = ['verify', '-s', store, '-c', config]
  const { code, out } = await run(args)
  expect(code).toBe(1)
  expect(out).toContain(
    'read-model position 6 projection shops key s1: shops: the row differs from what its events ' +
      'give: /cents; rebuild it: store.projections.rebuild("shops")',
  )
  expect(out).toMatch(/: 1 problem\n$/)
  const [problem] = (JSON.parse((await run([...args, '--json'])).out) as VerifyReport).problems
  expect(problem).toMatchObject({ kind: 'read-model', projection: 'shops', key: 's1', position: 6 })
  // Without the module there is nothing to compare with, and the log is whole.
  expect((await run(['verify', '-s', store])).code).toBe(0)
})

it('tells of a checkpoint that is ahead', async () => {
  change(`UPDATE eventuali_records SET value = json_set(value, '$.position', 70)
    WHERE kind = 'partition' AND key LIKE 'projection:sums%'`)
  const { code, out } = await run(['verify', '-s', store])
  expect(code).toBe(1)
  expect(out).toMatch(/^checkpoint position 70 subscription projection:sums\/g1 projection sums: /)
})

it('leaves nothing behind', async () => {
  await run(['verify', '-s', store, '-c', config])
  const database = new DatabaseSync(join(folder, 'shop.db'))
  const left = database.prepare(
    "SELECT name FROM sqlite_schema WHERE name LIKE '%\\_\\_g0%' ESCAPE '\\'",
  )
  expect(left.all()).toEqual([])
  const records = database.prepare("SELECT * FROM eventuali_records WHERE kind LIKE '%refold%'")
  expect(records.all()).toEqual([])
  database.close()
})

it('refuses what it cannot do', async () => {
  const alone = await run(['verify', '-s', store, '--projections', 'shops'])
  expect(alone).toMatchObject({ code: 2, out: '' })
  const unknown = await run(['verify', '-s', store, '-c', config, '--projections', 'shop'])
  expect(unknown.code).toBe(1)
  expect(unknown.err).toContain('no projection shop is exported; there is shops, sums')
  const empty = join(folder, 'empty.mjs')
  writeFileSync(empty, 'export const nothing = 1\n')
  const none = await run(['verify', '-s', store, '-c', empty])
  expect(none.err).toContain('exports no projection and no aggregate')
})
