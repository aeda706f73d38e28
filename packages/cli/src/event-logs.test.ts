import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { run } from './run.test-support.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-event-logs-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const store = (name: string) => `sqlite:${join(folder, name)}`

const trace = (name: string) => `<trace><string key="concept:name" value="${name}"/>
  <date key="due" value="2024-06-01T00:00:00+02:00"/>
  <event><string key="concept:name" value="Received"/><float key="fee" value="3"/></event>
  <event><string key="concept:name" value="Decided"/></event></trace>`

it('brings XES in and out again, and out as OCEL', async () => {
  const source = join(folder, 'permits.xes')
  writeFileSync(source, `<log>${trace('1')}${trace('2')}</log>`)
  const argv = ['import', source, '--category', 'permit', '--json', '-s', store('a.db')]
  const imported = await run(argv)
  expect(imported).toMatchObject({ code: 0, err: '' })
  expect(JSON.parse(imported.out)).toMatchObject({ events: 4, streams: 2, duplicates: 0 })
  expect(JSON.parse((await run(argv)).out)).toMatchObject({ events: 0, duplicates: 4 })

  const file = join(folder, 'out.xes.gz')
  const out = await run(['export', '-f', 'xes', '-o', file, '-s', store('a.db')])
  expect(out.err).toMatch(/lines written to/)
  expect((await run(['import', file, '-s', store('b.db')])).out).toContain('4 events stored')
  const lines = async (name: string) => (await run(['export', '-s', store(name)])).out
  expect(await lines('b.db')).toEqual(await lines('a.db'))

  const ocel = JSON.parse((await run(['export', '-f', 'ocel', '-s', store('a.db')])).out)
  expect(ocel.events).toHaveLength(4)
  expect(ocel.objects).toHaveLength(2)

  const whole = join(folder, 'out.ocel.json')
  await run(['export', '-f', 'ocel', '-o', whole, '-s', store('a.db')])
  expect((await run(['import', whole, '-s', store('c.db')])).out).toContain('4 events stored')
  expect(await lines('c.db')).toEqual(await lines('a.db'))
})

it('brings OCEL of others in, when told which objects are streams', async () => {
  const event = (n: number, ...objects: string[]) => ({
    ...{ id: `e${n}`, type: 'Placed', time: `2024-05-0${n}T10:00:00Z` },
    attributes: [{ name: 'total', value: n }],
    relationships: objects.map((objectId) => ({ objectId, qualifier: '' })),
  })
  const log = {
    objects: [
      { id: 'o1', type: 'order' },
      { id: 'tea', type: 'item' },
    ],
    events: [event(1, 'tea', 'o1'), event(2, 'tea')],
  }
  const file = join(folder, 'shop.jsonocel')
  writeFileSync(file, JSON.stringify(log))
  const argv = ['import', file, '-s', store('a.db')]
  const untold = await run(argv)
  expect(untold).toMatchObject({ code: 1, out: '' })
  expect(untold.err).toContain('say with categories which types of objects are streams')
  const told = await run([...argv, '--category', 'order', 'item'])
  expect(told).toMatchObject({ code: 0, out: expect.stringContaining('2 events stored') })
  const again = await run([...argv, '--category', 'order', 'item', '--json'])
  expect(JSON.parse(again.out)).toMatchObject({ events: 0, duplicates: 2, streams: 2 })
  const piped = ['import', '-', '-f', 'ocel', '--category', 'order', '--skip-invalid']
  const some = await run([...piped, '-s', store('b.db')], { stdin: JSON.stringify(log) })
  expect(some.out).toContain('1 event stored, 1 line skipped')
  const { out } = await run(['export', '-s', store('a.db')])
  const found = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(found).toMatchObject([
    { stream: 'order-o1', tags: ['item:tea'], data: { total: 1 }, id: 'e1' },
    { stream: 'item-tea', data: { total: 2 }, id: 'e2' },
  ])
})

it('says where a file is no XES, and stores nothing of it', async () => {
  const file = join(folder, 'bad.xes')
  writeFileSync(file, '<log>\n<trace>\n<event></log>')
  const { code, err } = await run(['import', file, '-s', store('a.db')])
  expect(code).not.toBe(0)
  expect(err).toContain('line 3: is not well-formed XML (unexpected close tag')
  expect((await run(['export', '-s', store('a.db')])).out).toBe('')
})

it('leaves bad events out when asked to, and tells of traces without events', async () => {
  const text = `<log><trace><event/><event><string key="concept:name" value="A"/></event></trace>
    <trace/></log>`
  const argv = ['import', '-', '--format', 'xes', '--skip-invalid', '-s', store('a.db')]
  const { code, out, err } = await run(argv, { stdin: text })
  expect(code).toBe(0)
  expect(out).toContain('1 event stored, 1 line skipped')
  expect(err).toContain('1 trace had no events')
  expect(err).toContain('skipped line 1: the event has no concept:name')
})

it.each([
  [['import', 'a.ndjson', '--category', 'x'], '--category is for --format xes and ocel'],
  [['import', 'a.xes.gz', '--category', 'x', 'y'], '--category takes one name'],
  [['import', 'a', '--format', 'csv'], 'Allowed choices are ndjson, xes, ocel'],
  [['export', '--format', 'xes', '--type', 'A'], 'xes and ocel take whole streams'],
  [['export', '--format', 'csv'], 'Allowed choices are ndjson, xes, ocel'],
])('refuses %j', async (argv, why) => {
  const { code, err } = await run([...argv, '-s', store('a.db')])
  expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(why) })
})
