import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { run } from './run.test-support.ts'

const folders: string[] = []
let folder: string
let store: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-cli-'))
  folders.push(folder)
  store = `sqlite:${join(folder, 'log.db')}`
})
afterAll(() => {
  for (const made of folders) rmSync(made, { recursive: true, force: true })
})

const lines = (count: number): string =>
  Array.from({ length: count }, (_, n) =>
    JSON.stringify({
      stream: `order-${n % 3}`,
      type: n % 2 === 0 ? 'Placed' : 'Shipped',
      data: { n },
      time: `2020-01-0${1 + (n % 5)}T00:00:00Z`,
      tags: [`n:${n % 2}`],
    }),
  ).join('\n')

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const parse = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

describe('import', () => {
  it('ends with one line of JSON', async () => {
    const { code, out, err } = await run([
      ...['import', file('a.ndjson.gz', gzipSync(lines(10)))],
      ...['--store', store, '--batch', '3', '--json'],
    ])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(parse(out)).toEqual([
      {
        events: 10,
        streams: 3,
        skipped: 0,
        seconds: expect.any(Number),
        eventsPerSecond: expect.any(Number),
        duplicates: 0,
      },
    ])
  })

  it('says what was there already, also when the file is packed meanwhile', async () => {
    await run(['import', file('a.ndjson', lines(10)), '--store', store])
    const again = await run(['import', file('a.ndjson.gz', gzipSync(lines(12))), '--store', store])
    expect(again.out).toMatch(/^2 events stored, 10 were there already \(3 streams, /)
  })

  it('reads standard input for -', async () => {
    const { code, out } = await run(['import', '-', '--store', store], { stdin: lines(4) })
    expect(code).toBe(0)
    expect(out).toMatch(/^4 events stored/)
  })

  it('refuses a bad line with its number and goes on when asked', async () => {
    const text = `${lines(4)}\n{"stream":"s"}\n${lines(6).split('\n').slice(4).join('\n')}`
    const path = file('bad.ndjson', text)
    const refused = await run(['import', path, '--store', store, '--batch', '2', '--json'])
    expect(refused.code).toBe(1)
    expect(refused.out).toBe('')
    expect(refused.err).toContain('IMPORT_LINE_INVALID: line 5: has no "type"')
    expect(refused.err).toContain('4 events before this are stored; run the same command again')
    expect(refused.err).not.toContain(' at ')
    const skipped = await run(['import', path, '--store', store, '--skip-invalid', '--json'])
    expect(skipped.code).toBe(0)
    expect(skipped.err).toContain('skipped line 5: has no "type"')
    expect(parse(skipped.out)[0]).toMatchObject({ events: 2, skipped: 1, duplicates: 4 })
  })

  it('tells what is wrong with a file', async () => {
    const missing = await run(['import', join(folder, 'no.ndjson'), '--store', store])
    expect(missing).toMatchObject({ code: 1, out: '' })
    expect(missing.err).toContain('IMPORT_SOURCE_FAILED')
    expect(missing.err).toContain('there is no such file')
    const directory = await run(['import', folder, '--store', store])
    expect(directory).toMatchObject({ code: 1 })
    expect(directory.err).toContain('it is a folder')
  })

  it('shows a bar in a terminal and takes it away', async () => {
    const { err } = await run(['import', file('a.ndjson', lines(9)), '--store', store], {
      terminal: 80,
    })
    expect(err).toMatch(/█.*9 events/)
    expect(err.endsWith('\r\u001b[K')).toBe(true)
  })
})

describe('export', () => {
  it('gives what import reads back unchanged', async () => {
    await run(['import', file('a.ndjson', lines(20)), '--store', store])
    const { code, out } = await run(['export', '--store', store])
    expect(code).toBe(0)
    expect(parse(out)).toHaveLength(20)
    const copy = `sqlite:${join(folder, 'copy.db')}`
    await run(['import', '-', '--store', copy], { stdin: out })
    expect((await run(['export', '--store', copy])).out).toBe(out)
    const one = await run(['export', '--store', store, '--stream', 'order-1'])
    expect(parse(one.out).map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6, 7])
  })

  it('writes a file completely or not at all', async () => {
    await run(['import', file('a.ndjson', lines(20)), '--store', store])
    const out = join(folder, 'out.ndjson.gz')
    const done = await run(['export', '--store', store, '--out', out])
    expect(done).toEqual({ code: 0, out: '', err: `20 events written to ${out}\n` })
    expect(parse(gunzipSync(readFileSync(out)).toString())).toHaveLength(20)
    const nowhere = await run(['export', '--store', store, '--out', join(folder, 'no/x.ndjson')])
    expect(nowhere.code).toBe(1)
    expect(nowhere.err).toContain('ENOENT')
    expect(readdirSync(folder).filter((name) => name.endsWith('.partial'))).toEqual([])
  })
})

describe('query', () => {
  const ask = async (...flags: string[]) => {
    const ran = await run(['query', '--store', store, '--json', ...flags])
    expect(ran).toMatchObject({ code: 0, err: '' })
    return ran.out === '' ? [] : parse(ran.out).map(({ data }) => data.n as number)
  }

  it('filters by stream, category, type, tag, place and time, in both directions', async () => {
    await run(['import', file('a.ndjson', lines(10)), '--store', store])
    expect(await ask()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(await ask('--stream', 'order-0')).toEqual([0, 3, 6, 9])
    expect(await ask('--stream', 'order-0', '--from', '2', '--to', '3')).toEqual([3, 6])
    expect(await ask('--stream', 'order-0', '--type', 'Placed', '--limit', '1')).toEqual([0])
    expect(await ask('--stream', 'order-0', '--tag', 'n:1', '--reverse')).toEqual([9, 3])
    expect(await ask('--category', 'order', '--limit', '2')).toEqual([0, 1])
    expect(await ask('--category', 'invoice')).toEqual([])
    expect(await ask('--type', 'Shipped', '--reverse', '-n', '2')).toEqual([9, 7])
    expect(await ask('--tag', 'n:0', '--from', '4', '--to', '7')).toEqual([4, 6])
    expect(await ask('--from', '2020-01-05')).toEqual([4, 9])
    expect(await ask('--to', '2020-01-02')).toEqual([0, 5])
    expect(await ask('--stream', 'order-1', '--to', '2020-01-03T00:00:00Z')).toEqual([1])
    expect(await ask('--limit', '0')).toEqual([])
    expect(await ask('--stream', 'nothing')).toEqual([])
  })

  it('prints a table: cut to a terminal, whole and without colour in a pipe', async () => {
    const data = `{"text":"${'long '.repeat(40)}"}`
    await run(['append', '--store', store, 'order-\u202e1', 'Placed', data])
    const piped = await run(['query', '--store', store])
    const [head, row] = piped.out.split('\n')
    expect(head).toMatch(/^POSITION {2}TIME +STREAM +VERSION {2}TYPE +DATA$/)
    expect(row).toContain(data)
    expect(row).toContain('order-\\u202e1')
    expect(piped.out).not.toContain('\u001b')
    const shown = await run(['query', '--store', store], { terminal: 60 })
    const [boldHead, cut] = shown.out.split('\n')
    expect(boldHead?.startsWith('\u001b[1mPOSITION')).toBe(true)
    expect(cut).toHaveLength(60)
    expect(cut?.endsWith('…')).toBe(true)
    const plain = await run(['query', '--store', store], { terminal: 60, env: { NO_COLOR: '1' } })
    expect(plain.out).not.toContain('\u001b')
  })
})

describe('recode', () => {
  it('stores events in another way, says so, and changes nothing that is read', async () => {
    await run(['import', '-', '--store', store], { stdin: lines(30) })
    const exported = await run(['export', '--store', store])
    const recoded = await run(['recode', '--store', store, '--to', 'msgpack', '--json'])
    expect(recoded.code).toBe(0)
    expect(JSON.parse(recoded.out)).toMatchObject({ events: 30, changed: 30, resumedAfter: 0 })
    expect(await run(['export', '--store', store])).toEqual(exported)
    expect((await run(['verify', '--store', store])).code).toBe(0)
    const args = ['--to', 'json', '--compress', 'gzip', '--above', '0', '--batch', '7']
    const again = await run(['recode', '--store', store, ...args])
    expect(again.out).toMatch(/^30 events of 30 recoded: [\d,]+ bytes of data are [\d,]+ now\n$/)
    expect(await run(['export', '--store', store])).toEqual(exported)
  })

  it.each([
    [[]],
    [['--to', 'xml']],
    [['--to', 'json', '--compress', 'zip']],
    [['--to', 'json', '--above', '10']],
    [['--to', 'json', '--batch', '0']],
  ])('refuses %j', async (args) => {
    const { code, err } = await run(['recode', '--store', store, ...args])
    expect(code).toBe(2)
    expect(err).not.toBe('')
  })
})

describe('streams, append and verify', () => {
  it('work on what EVENTUALI_STORE names', async () => {
    const env = { EVENTUALI_STORE: store }
    const data = '{"total":30}'
    const first = await run(['append', 'order-1', 'Placed', data, '--id', 'a'], { env })
    expect(first).toEqual({ code: 0, out: 'order-1 version 1, position 1\n', err: '' })
    const again = await run(['append', 'order-1', 'Placed', data, '--id', 'a'], { env })
    expect(again.out).toBe('known already: order-1 version 1, position 1\n')
    const stale = await run(['append', 'order-1', 'Placed', data, '--expect', '0'], { env })
    expect(stale.code).toBe(1)
    expect(stale.err).toContain('VERSION_CONFLICT')
    const flags = ['--metadata', '{"actor":"ada"}', '--tag', 'a:b', '--time', '2020-01-01']
    const full = await run(['append', 'x', 'T', '[1]', '--json', ...flags], { env })
    expect(parse(full.out)[0]).toMatchObject({
      stream: 'x',
      data: [1],
      metadata: { actor: 'ada' },
      tags: ['a:b'],
      time: '2020-01-01T00:00:00.000Z',
    })
    const listed = await run(['streams', '--json', '--prefix', 'order'], { env })
    expect(parse(listed.out)).toMatchObject([{ stream: 'order-1', version: 1, state: 'active' }])
    expect((await run(['streams'], { env })).out).toMatch(/^STREAM +VERSION +EVENTS/)
    const verified = await run(['verify'], { env })
    expect(verified).toEqual({ code: 0, out: '2 events, 2 streams: no problems\n', err: '' })
    const report = await run(['verify', '--json'], { env })
    expect(parse(report.out)[0]).toMatchObject({ ok: true, events: 2, problems: [] })
  })

  it('verify ends with 1 when the log is damaged', async () => {
    await run(['import', file('a.ndjson', lines(10)), '--store', store])
    const { DatabaseSync } = await import('node:sqlite')
    const database = new DatabaseSync(join(folder, 'log.db'))
    database.exec(`UPDATE eventuali_events SET data = '{"n":99}' WHERE position = 4`)
    database.close()
    const { code, out } = await run(['verify', '--store', store])
    expect(code).toBe(1)
    expect(out).toMatch(/position 4/)
    expect(out).toMatch(/10 events, 3 streams: 1 problem\n$/)
    expect((await run(['verify', '--store', store, '--json'])).code).toBe(1)
  })
})

describe('wrong usage', () => {
  it.each([
    [[]],
    [['impor']],
    [['import']],
    [['import', 'x', '--batch', '0']],
    [['import', 'x', '--batch', 'many']],
    [['import', 'x', '--nonsense']],
    [['query', '--limit', '-1']],
    [['query', '--from', 'yesterday']],
    [['query', '--from', '2020-13-01']],
    [['append', 's', 'T', '{x}']],
    [['append', 's', 'T', '12345678901234567890']],
    [['append', 's', 'T', '{}', '--expect', 'later']],
    [['append', 's', 'T', '{}', '--metadata', '[]']],
    [['append', 's', 'T', '{}', '--time', '7']],
    [['verify', 'extra']],
  ])('%j ends with 2 and says why', async (argv) => {
    const { code, out, err } = await run(argv, { env: { EVENTUALI_STORE: store } })
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err.length).toBeGreaterThan(20)
    expect(existsSync(join(folder, 'log.db'))).toBe(false)
  })

  it('a store that is not named, or no store', async () => {
    expect(await run(['query'])).toMatchObject({ code: 2, out: '' })
    const wrong = await run(['query', '--store', 'mysql://x'])
    expect(wrong.code).toBe(1)
    expect(wrong.err).toMatch(/^eventuali: STORE_URL_INVALID: /)
    const gone = await run(['query', '--store', store])
    expect(gone.code).toBe(1)
    expect(gone.err).toContain('there is no file')
    expect(readdirSync(folder)).toEqual([])
    const noDatabase = await run(['query', '--store', `sqlite:${file('x.db', lines(50))}`])
    expect(noDatabase.code).toBe(1)
    expect(noDatabase.err).not.toMatch(/\n {4}at /)
    const debug = await run(['query', '--store', `sqlite:${file('x.db', lines(50))}`, '--debug'])
    expect(debug.err).toMatch(/\n {4}at /)
  })

  it('tells its version', async () => {
    const { version } = JSON.parse(readFileSync('packages/eventuali/package.json', 'utf8'))
    expect(await run(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' })
  })

  it('help names the exit codes, for each command', async () => {
    for (const argv of [['--help'], ['import', '--help'], ['verify', '--help']]) {
      const { code, out, err } = await run(argv)
      expect({ code, err }).toEqual({ code: 0, err: '' })
      expect(out).toMatch(/Exit codes:\n {2}0 {4}done/)
    }
  })
})
