import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openStore } from 'eventuali'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { run } from './run.test-support.ts'

// The library that the commands run on: definitions of another copy are none to it.
const library = join(import.meta.dirname, '../../eventuali/src/index.ts')
let cwd: string
let file: string
beforeEach(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'eventuali-odd-'))
  file = join(cwd, 'odd.db')
  const store = await openStore(`sqlite:${file}`)
  for (let n = 1; n <= 3; n++) await store.append('cart-1', { type: 'ItemAdded', data: { n } })
  await store.close()
  writeFileSync(
    join(cwd, 'eventuali.config.ts'),
    `import { Aggregate, collection, defineConfig, defineEvents, defineProjection, type } from '${library}'
     const events = defineEvents({ ItemAdded: type() })
     class Cart extends Aggregate {
       static aggregateName = 'cart'
       static events = events
       items = []
       onItemAdded({ data }) { this.items.push(data.n) }
     }
     const broken = defineProjection({
       name: 'broken', version: 1, events: [events], collections: { broken: collection() },
       handlers: { ItemAdded: ({ data }) => { if (data.n === 2) throw new Error('cannot cope') } },
     })
     export default defineConfig({
       store: 'sqlite:odd.db', events: [events], aggregates: [Cart], projections: [broken],
     })`,
  )
})
afterEach(() => rmSync(cwd, { recursive: true, force: true }))

const odd = (...argv: string[]) => run(argv, { cwd })

it('health tells of an older schema, and leaves it as it is', async () => {
  const set = (version: string) => {
    const database = new DatabaseSync(file)
    database.prepare("UPDATE eventuali_meta SET value = ? WHERE key = 'schema'").run(version)
    database.close()
  }
  const schema = () => {
    const database = new DatabaseSync(file)
    const sql = "SELECT value FROM eventuali_meta WHERE key = 'schema'"
    const { value } = database.prepare(sql).get() as { readonly value: string }
    database.close()
    return value
  }
  const now = schema()
  set('2')
  const old = await odd('health', '--json')
  expect(old.code).toBe(1)
  expect(JSON.parse(old.out)).toMatchObject({
    status: 'degraded',
    checks: [{ name: 'migrations' }],
  })
  expect(schema()).toBe('2')
  set(now)
  expect((await odd('health', '--free-min', '0')).code).toBe(0)
  set('99')
  expect((await odd('health')).code).toBe(2)
})

it('aggregates that are classes show their fields', async () => {
  const shown = await odd('aggregate', 'show', 'cart-1', '--at', '2', '--json')
  expect(shown.err).toBe('')
  expect(JSON.parse(shown.out)).toEqual({ stream: 'cart-1', version: 2, state: { items: [1, 2] } })
  const diff = await odd('aggregate', 'diff', 'cart-1', '--from', '2', '--json')
  expect(JSON.parse(diff.out)).toMatchObject({
    changes: [{ path: '/items/2', kind: 'added', after: 3 }],
  })
})

it('a rebuild that fails is told with its reason, and seen afterwards', async () => {
  const built = await odd('projections', 'rebuild', 'broken')
  expect(built).toMatchObject({ code: 1, out: '' })
  expect(built.err).toMatch(/^eventuali: PROJECTION_BUILD_FAILED: .*cannot cope/)
  const status = await odd('projections', 'status', 'broken', '--sample', '10ms')
  expect(status.out).toMatch(/^broken: building, defined as v1, live nothing$/m)
  expect(status.out).toMatch(/^generation 1 was given up at position \d: .*cannot cope/m)
  const skipped = await odd('projections', 'rebuild', 'broken', '--on-error', 'skip')
  expect(skipped.out).toContain('1 event passed over, at positions 2\n')
})

it('progress is shown in a terminal alone', async () => {
  const shown = await run(['replay', '--into', 'sqlite:copy.db'], { cwd, terminal: 80 })
  expect(shown.err).toMatch(/3 events, position 3/)
  expect((await odd('replay', '--into', 'sqlite:second.db')).err).toBe('')
  const bold = await run(['subscriptions', '--sample', '0s'], { cwd, terminal: 80 })
  expect(bold.out.startsWith('\u001b[1mNAME')).toBe(true)
  expect((await odd('subscriptions', '--sample', '0s')).out).toMatch(/^NAME/)
})
