import { Writable } from 'node:stream'
import { expect, it } from 'vitest'
import { ServerLog } from './server-log.ts'

class Sink extends Writable {
  text = ''
  /** Calls that tell the writer that more may come. */
  readonly waiting: (() => void)[] = []
  readonly isSlow: boolean
  constructor(isSlow = false) {
    super()
    this.isSlow = isSlow
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk
    if (this.isSlow) this.waiting.push(done)
    else done()
  }
}

type Settings = ConstructorParameters<typeof ServerLog>[1]

function logged(settings: Settings, stderr = new Sink()) {
  const io = { stderr } as never
  return { log: new ServerLog(io, settings, () => new Date(0)), stderr }
}

const request = {
  ...{ id: 'r-1', method: 'GET', route: '/v1/streams/{stream}', status: 200 },
  ...{ durationMs: 1.26, principal: 'shop' },
}

it('a line is a sentence with its fields, or one JSON', () => {
  const text = logged({})
  text.log.request(request)
  text.log.write('info', 'serving', { url: 'http://a', nothing: undefined })
  expect(text.stderr.text).toBe(
    '1970-01-01T00:00:00.000Z info request method=GET route=/v1/streams/{stream} status=200 ms=1.3 principal=shop request=r-1\n' +
      '1970-01-01T00:00:00.000Z info serving url=http://a\n',
  )
  const json = logged({ format: 'json' })
  json.log.request({ ...request, principal: undefined })
  expect(JSON.parse(json.stderr.text)).toEqual({
    ...{ time: '1970-01-01T00:00:00.000Z', level: 'info', message: 'request' },
    ...{ method: 'GET', route: '/v1/streams/{stream}', status: 200, ms: 1.3, request: 'r-1' },
  })
})

it.each<[level: Settings['level'], seen: readonly string[]]>([
  ['silent', []],
  ['error', ['500', 'failure']],
  ['warn', ['500', '401', '429', '503', 'failure']],
  ['info', ['500', '401', '429', '503', '404', '200', 'failure']],
  ['debug', ['500', '401', '429', '503', '404', '200', 'probe', 'failure']],
])('%s tells as much', (level, seen) => {
  const { log, stderr } = logged({ level, format: 'json' })
  for (const status of [500, 401, 429, 503, 404, 200]) log.request({ ...request, status })
  log.request({ ...request, route: '/health/live' })
  log.failure(new Error('no'), 'GET /v1/streams/ada r-2')
  const lines = stderr.text.split('\n').filter((line) => line !== '')
  const found = lines.map((line) => {
    const { message, route, status } = JSON.parse(line)
    if (message !== 'request') return 'failure'
    return route === '/health/live' ? 'probe' : String(status)
  })
  expect(found).toEqual(seen)
})

it('tells no path and no password, and one line for each', () => {
  const error = new Error('connect to postgres://app:hunter2@db/shop\nfailed')
  for (const level of ['info', 'debug'] as const) {
    const { log, stderr } = logged({ level })
    log.failure(error, 'POST /v1/streams/customer-ada/events r-3')
    log.write('info', 'a\u001b[31m\r\nb', { principal: 'x"\n y' })
    expect(stderr.text).not.toMatch(/hunter2|customer-ada|\r/)
    expect(stderr.text).not.toContain('\u001b')
    expect(stderr.text).toContain('app:***@db')
    expect(stderr.text.split('\n')).toHaveLength(3)
    expect(stderr.text.includes('stack=')).toBe(level === 'debug')
  }
})

it('keeps a bounded number of lines for a reader that does not come', () => {
  const { log, stderr } = logged({}, new Sink(true))
  const line = 'x'.repeat(64 * 1024)
  for (let n = 0; n < 100; n++) log.write('info', line)
  expect(stderr.writableLength).toBeLessThan(1.2 * 1024 * 1024)
  const lost = 100 - Math.round(stderr.writableLength / line.length)
  while (stderr.waiting.length > 0) stderr.waiting.shift()?.()
  log.write('info', 'back')
  while (stderr.waiting.length > 0) stderr.waiting.shift()?.()
  expect(stderr.text).toContain(`${lost} lines of this log were lost`)
})
