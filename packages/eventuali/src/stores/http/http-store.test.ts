import { describe, expect, it } from 'vitest'
import { systemClock } from '../../kernel/index.ts'
import type { AppendRequest, EventStore } from '../../ports/index.ts'
import { CallLane } from './call-lane.ts'
import { refusedBy, unreached } from './failures.ts'
import { openHttpStore } from './index.ts'

const hello = { protocol: 1, incarnation: 'log-1', durable: true }
const fails = (code: string) => expect.objectContaining({ code })
const json = (value: unknown, status = 200) => new Response(JSON.stringify(value), { status })

type Answer = (path: string, init: RequestInit) => Response | Promise<Response>

/** A store before a server that answers everything but the first call in this way. */
async function before(answer: Answer, options: object = {}): Promise<EventStore> {
  let isOpen = false
  const fetch: typeof globalThis.fetch = async (input, init = {}) => {
    if (isOpen) return answer(String(input).replace('http://server/', ''), init)
    isOpen = true
    return json(hello)
  }
  return openHttpStore({ url: 'http://server', fetch, ...options })
}

/** Never answers, and ends when it is aborted, as `fetch` does. */
const hang: Answer = (_path, { signal }) =>
  new Promise((_resolve, reject) => {
    const end = () => reject(new DOMException('aborted', 'AbortError'))
    if (signal?.aborted) end()
    else signal?.addEventListener('abort', end)
  })

const request: AppendRequest = {
  entries: [
    {
      stream: 'a-1',
      expectedVersion: 'any',
      events: [
        {
          ...{ id: 'x', idGiven: true, type: 'T', data: 1, metadata: {}, time: 1 },
          ...{ schemaVersion: 1, tags: [] },
        },
      ],
    },
  ],
}

it('a store that is open for reading writes nothing', async () => {
  const store = await before(() => json({ safe: 1, newest: 1 }), { readOnly: true })
  expect(await store.positions()).toEqual({ safe: 1, newest: 1 })
  await expect(store.append(request)).rejects.toEqual(fails('STORE_READ_ONLY'))
  await expect(store.transaction(async () => 1)).rejects.toEqual(fails('STORE_READ_ONLY'))
})

describe('a server that does not answer', () => {
  it('is a timeout of a read, and leaves a doubt of an append', async () => {
    // The server has two seconds to say it itself.
    let now = 0
    const timers: { atMs: number; callback: () => void }[] = []
    const clock = {
      ...systemClock,
      timer: (ms: number, callback: () => void) => {
        const timer = { atMs: now + ms, callback }
        timers.push(timer)
        return () => void timers.splice(timers.indexOf(timer) >>> 0, 1)
      },
    }
    const store = await before(hang, { clock })
    const read = store.stream('a-1', { timeoutMs: 100 }).catch((error: unknown) => error)
    const append = store.append(request, { timeoutMs: 100 }).catch((error: unknown) => error)
    await expect.poll(() => timers.length).toBe(2)
    now = 2100
    for (const timer of [...timers]) timer.callback()
    expect(await read).toEqual(fails('TIMEOUT'))
    expect(await append).toEqual(fails('OUTCOME_UNKNOWN'))
  })

  it('is left by an abort: a read with its reason, an append with a doubt', async () => {
    const store = await before(hang)
    const abort = new AbortController()
    const { signal } = abort
    const reason = new Error('enough')
    const read = store.stream('a-1', { signal }).catch((error: unknown) => error)
    const append = store.append(request, { signal }).catch((error: unknown) => error)
    abort.abort(reason)
    expect(await read).toBe(reason)
    expect(await append).toMatchObject({ code: 'OUTCOME_UNKNOWN', cause: reason })
  })
})

describe('an answer', () => {
  it('of another protocol, or of no store, is told when it opens', async () => {
    const open = (answer: () => Response) =>
      openHttpStore({ url: 'http://server', fetch: async () => answer() })
    for (const [answer, words] of [
      [() => json({ ...hello, protocol: 2 }), 'version 2'],
      [() => json({ hello: 'world' }), 'does not answer like'],
      [() => new Response(null), 'does not answer like'],
      [() => new Response('hello'), 'no JSON'],
      [() => new Response('x', { headers: { 'content-length': '999999999' } }), 'too large'],
      [() => new Response('<html>', { status: 502 }), 'status 502'],
      [() => new Response('<html>', { status: 404 }), 'is it an Eventuali server'],
    ] as const) {
      await expect(open(answer)).rejects.toMatchObject({
        ...{ code: 'CONNECTION_FAILED', message: expect.stringContaining(words) },
      })
    }
  })

  it('is an error with the code and the fields that it has there', () => {
    const refused = (problem: object, status = 409) => refusedBy(status, problem, 'write', 'it')
    expect(refused({ code: 'DOMAIN_REJECTED', detail: 'no', fields: { why: 1 } })).toMatchObject({
      ...{ name: 'RemoteError', code: 'DOMAIN_REJECTED', message: 'no', status: 409, why: 1 },
    })
    expect(refused({ code: 'STORAGE_BUSY', retryable: true, title: 'busy' })).toMatchObject({
      ...{ retryable: true, message: 'busy' },
    })
    expect(refused({ code: 'X', fields: { message: 'y', code: 'Z' } })).toMatchObject({
      ...{ code: 'X', message: 'X' },
    })
    const record = { code: 'RECORD_CONFLICT', fields: { kind: 'k', key: 'a' } }
    expect(refused(record)).toMatchObject({ name: 'RecordConflictError', kind: 'k', key: 'a' })
    expect(refused({ code: 'STORE_CLOSED' })).toMatchObject({ name: 'StoreClosedError' })
    const changed = { code: 'LOG_CHANGED', fields: { expected: 'a', actual: 'b' } }
    expect(refused(changed)).toMatchObject({ name: 'LogChangedError', expected: 'a', actual: 'b' })
    expect(refused({ code: 'LOG_CHANGED' })).toMatchObject({ name: 'RemoteError' })
    expect(refusedBy(503, undefined, 'write', 'it')).toEqual(fails('OUTCOME_UNKNOWN'))
    expect(refusedBy(503, 'text', 'read', 'it')).toEqual(fails('CONNECTION_FAILED'))
  })

  it('that never came says whether anything was sent', () => {
    const failed = (code: string) => {
      const cause = Object.assign(new Error('refused'), { code })
      return new TypeError('fetch failed', { cause: new AggregateError([cause]) })
    }
    expect(unreached(failed('ECONNREFUSED'), 'write', 'it')).toEqual(fails('CONNECTION_FAILED'))
    expect(unreached(failed('ECONNRESET'), 'write', 'it')).toEqual(fails('OUTCOME_UNKNOWN'))
    expect(unreached(failed('ECONNRESET'), 'read', 'it')).toEqual(fails('CONNECTION_FAILED'))
    expect(unreached('what', 'read', 'it')).toMatchObject({
      message: expect.stringContaining('no reason given'),
    })
  })

  it('of a server that closes its store is a lost connection, no closed store here', async () => {
    const store = await before(() => json({ code: 'STORE_CLOSED' }, 503))
    await expect(store.positions()).rejects.toEqual(fails('CONNECTION_FAILED'))
    await store.close()
    await expect(store.positions()).rejects.toEqual(fails('STORE_CLOSED'))
    await expect(store.transaction(async () => 1)).rejects.toEqual(fails('STORE_CLOSED'))
  })

  it('of a token that is refused twice is the refusal', async () => {
    let asked = 0
    const token = () => `token-${++asked}`
    const store = await before(() => json({ code: 'UNAUTHENTICATED' }, 401), { token })
    await expect(store.positions()).rejects.toEqual(fails('UNAUTHENTICATED'))
    expect(asked).toBe(3)
  })
})

describe('reads and appends', () => {
  it('take what the server says of duplicates and conditions', async () => {
    const event = {
      ...{ id: 'x', stream: 'a-1', version: 1, position: 7, type: 'T', data: 1, metadata: {} },
      ...{ time: 1, recordedAt: 2, schemaVersion: 1, tags: [] },
    }
    const entry = { stream: 'a-1', version: 1, positions: [7], recordedAt: 2, duplicate: [event] }
    const answers: unknown[] = [
      { ok: true, entries: [entry] },
      { ok: false, reason: 'condition-failed', position: 7, events: [event] },
      { ok: false, reason: 'stream-deleted', stream: 'a-1' },
      {},
      { event },
      { info: { stream: 'a-1', version: 1, firstTime: 1, lastTime: 1 } },
      { streams: [{ stream: 'a-1' }], more: true },
      { streams: [], more: false },
      { events: [event], more: true },
      { events: [], more: false },
    ]
    const store = await before(() => json(answers.shift()))
    const at = { time: new Date(1), recordedAt: new Date(2) }
    const conditional = { ...request, condition: { query: [], position: 0 } }
    expect(await store.append(request)).toMatchObject({ entries: [{ duplicate: [at] }] })
    expect(await store.append(conditional)).toMatchObject({ position: 7, events: [at] })
    expect(await store.append(request)).toMatchObject({ reason: 'stream-deleted' })
    expect(await store.eventById('a-1', 'y')).toBe(undefined)
    expect(await store.eventById('a-1', 'x')).toMatchObject(at)
    expect(await store.stream('a-1')).toMatchObject({ firstTime: new Date(1) })
    const all = async <T>(pages: AsyncIterable<readonly T[]>) =>
      (await Array.fromAsync(pages)).flat()
    expect(await all(store.streams({ limit: 5 }))).toMatchObject([{ stream: 'a-1' }])
    const query = { stream: 'a-1', direction: 'backward' } as const
    expect(await all(store.readStream(query))).toMatchObject([at])
    expect(answers).toEqual([])
  })
})

describe('a lane', () => {
  it('lets so many run, the others in their order, and gives up at an abort', async () => {
    const lane = new CallLane(1)
    const order: string[] = []
    const end = Promise.withResolvers<void>()
    const first = lane.run(() => end.promise)
    const abort = new AbortController()
    const left = lane.run(async () => void order.push('left'), abort.signal)
    const second = lane.run(async () => void order.push('second'), new AbortController().signal)
    abort.abort(new Error('enough'))
    await expect(left).rejects.toThrow('enough')
    end.resolve()
    await Promise.all([first, second])
    expect(order).toEqual(['second'])
    await expect(lane.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await lane.run(async () => 1)).toBe(1)
  })

  it('holds no more waiting than it says', async () => {
    const lane = new CallLane(1)
    const end = Promise.withResolvers<void>()
    const first = lane.run(() => end.promise)
    const waiting = Array.from({ length: 10_000 }, () => lane.run(async () => {}))
    await expect(lane.run(async () => {})).rejects.toEqual(fails('QUEUE_FULL'))
    end.resolve()
    await Promise.all([first, ...waiting])
  })
})
