import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { run } from './run.test-support.ts'

let folder: string
let store: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-schema-'))
  const made = folder
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  store = `sqlite:${join(folder, 'log.db')}`
})

const library = pathToFileURL(join(import.meta.dirname, '../../eventuali/src/index.ts')).href
const zod = import.meta.resolve('zod')
let moduleCount = 0

/** A module with definitions, as a branch would have it. */
function branch(body: string): string {
  const path = join(folder, `events-${++moduleCount}.ts`)
  const head = `import { defineEvents, event, type } from '${library}'\nimport { z } from '${zod}'\n`
  writeFileSync(path, `${head}export const events = defineEvents(${body})\n`)
  return path
}

const first = '{ Placed: z.object({ customer: z.string(), total: z.number() }) }'
const second = `{ Placed: event(z.object({ customer: z.string(), amount: z.number() }), { version: 2 }) }`
const mended = second.replace(
  '{ version: 2 }',
  '{ version: 2, upcast: { 1: ({ customer, total }) => ({ customer, amount: total }) } }',
)

const at = (...argv: readonly string[]) => run(['schema', ...argv, '--store', store])
const append = () =>
  run(['append', 'order-1', 'Placed', '{"customer":"ada","total":3}', '--store', store])

describe('schema', () => {
  it('shows what was registered and stored, and what it changed', async () => {
    await append()
    expect((await at('register', '--events', branch(first))).out).toBe('1 new schema registered\n')
    expect((await at('register', '-e', branch(second))).out).toBe('1 new schema registered\n')
    const list = await at('list')
    expect(list.out.split('\n').map((line) => line.split(/ +/).slice(0, 5))).toMatchObject([
      ['TYPE', 'VERSION', 'EVENTS', 'FIRST', 'LAST'],
      ['Placed', '1', '1', '1', '1'],
      ['Placed', '2', '0', '-', '-'],
      [''],
    ])
    const history = await at('history', 'Placed')
    expect(history.out).toContain('the first')
    expect(history.out).toContain('(breaks both ways)')
    const shown = await at('show', 'Placed')
    expect(shown.out).toContain('Placed version 1: 1 events, positions 1 to 1')
    expect(shown.out).toContain('"total": {')
    expect((await at('diff', 'Placed', '1')).out).toBe(
      [
        ...['Placed: version 1 to 2', '  - data.total: total: number'],
        ...['  + data.amount: amount: number', ''],
      ].join('\n'),
    )
    const branched = await at('diff', '--events', branch(first))
    expect(branched.out).toContain('Placed: version 2 to 1')
    const lines = await at('diff', '--events', branch(first), '--json')
    expect(JSON.parse(lines.out)).toMatchObject({
      ...{ type: 'Placed', from: 2, to: 1, state: 'changed' },
      changes: [{ kind: 'removed' }, { kind: 'added', path: 'data.total' }],
    })
    expect(await at('show', 'Nothing')).toMatchObject({ code: 1 })
    expect(await at('diff', 'Placed', '7')).toMatchObject({ code: 1 })
    expect(await at('diff')).toMatchObject({ code: 2 })
  })

  it('check fails when stored events could not be read, and writes the upcaster', async () => {
    await at('register', '--events', branch(first))
    await append()
    const failing = await at('check', '--events', branch(second))
    expect(failing.code).toBe(1)
    expect(failing.out).toContain('upcaster-missing  1 event, first at position 1')
    expect(failing.out).toContain('1: (data: { customer: string; total: number }) => {')
    const json = await at('check', '--events', branch(second), '--json')
    expect(JSON.parse(json.out)).toMatchObject({ ok: false, events: 1, schemas: 1 })
    expect(await at('check', '--events', branch(mended))).toEqual({
      ...{ code: 0, err: '' },
      out: '1 schema compared, 1 event read: no problems\n',
    })
    expect((await at('check', '--events', branch(mended), '--no-read')).out).toBe(
      '1 schema compared: no problems\n',
    )
    const full = await at('check', '--events', branch(mended), '--mode', 'full', '--newest', '5')
    expect(full).toMatchObject({ code: 1, out: expect.stringContaining('older-readers') })
  })

  it('check works from a file where there is no store', async () => {
    await at('register', '--events', branch(first))
    const registry = join(folder, 'schemas.ndjson')
    writeFileSync(registry, (await at('list', '--json')).out)
    const check = (body: string, ...more: string[]) =>
      run(['schema', 'check', '--events', branch(body), '--registry', registry, ...more])
    expect(await check(second)).toMatchObject({ code: 1 })
    expect(await check(mended)).toMatchObject({ code: 0 })
    expect(await check(mended, '--store', store)).toMatchObject({ code: 2 })
    writeFileSync(registry, '{"some":1}\n')
    expect((await check(mended)).err).toContain('line 1 of')
  })

  it('takes events, single ones, aggregates, classes, and says when there are none', async () => {
    const path = join(folder, 'all.ts')
    const text = `import { Aggregate, defineAggregate, defineEvents, type } from '${library}'
      const a = defineEvents({ A: type<{ n: 1 }>() })
      const b = defineEvents({ B: type<{ n: 1 }>() })
      export const one = a.A
      export const two = [defineAggregate('b', {
        events: b, initial: () => 0, evolve: { B: (s: number) => s }, commands: {} })]
      export class Three extends Aggregate<never> {
        static readonly aggregateName = 'c'
        static readonly events = defineEvents({ C: type<{ n: 1 }>() })
        onC() {}
      }
      export const other = 3`
    writeFileSync(path, text)
    expect((await at('register', '--events', path)).out).toBe('3 new schemas registered\n')
    writeFileSync(join(folder, 'none.ts'), 'export const other = 3')
    const none = await at('register', '--events', join(folder, 'none.ts'))
    expect(none).toMatchObject({ code: 1, err: expect.stringContaining('exports no event') })
    writeFileSync(join(folder, 'bad.ts'), 'export const = 3')
    expect(await at('check', '--events', join(folder, 'bad.ts'))).toMatchObject({ code: 1 })
    expect(await at('check', '--events', join(folder, 'gone.ts'))).toMatchObject({ code: 1 })
    expect(await at('check')).toMatchObject({ code: 2 })
  })
})
