import { defineEvents, event, openStore, replacedBy, type } from 'eventuali'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createServer } from './index.ts'
import { server } from './server.test-support.ts'
import { framesOf, takeEvents } from './sse.test-support.ts'

const numbers = (count: number, first = 1) =>
  Array.from({ length: count }, (_, n) => ({ type: 'Counted', data: { n: n + first } }))
const seen = (frames: readonly { readonly data: { readonly data: { readonly n: number } } }[]) =>
  frames.map(({ data }) => data.data.n)
const counting = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, n) => n + from)

describe('a feed of the log', () => {
  it('begins where it is told, goes on live, and resumes behind the last id', async () => {
    const { app, store } = await server()
    await store.append('s-1', numbers(5))
    const response = await app.request('/v1/feed?after=2')
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    const taking = takeEvents(response, 6)
    await store.append('s-1', numbers(3, 6))
    const frames = await taking
    expect(seen(frames)).toEqual(counting(3, 8))
    const last = frames[3]?.id ?? ''
    expect(last).toBe(`${store.incarnation}:6`)
    const again = await app.request('/v1/feed?after=0', { headers: { 'last-event-id': last } })
    expect(seen(await takeEvents(again, 2))).toEqual([7, 8])
  })

  it('resumes behind the id in the url too, which a browser cannot put into a header', async () => {
    const { app, store, request } = await server()
    await store.append('s-1', numbers(5))
    const path = `/v1/feed?after=0&lastEventId=${store.incarnation}:3`
    expect(seen(await takeEvents(await app.request(path), 2))).toEqual([4, 5])
    const stream = `/v1/streams/s-1/feed?lastEventId=${store.incarnation}:4`
    expect(seen(await takeEvents(await app.request(stream), 1))).toEqual([5])
    // Its own reconnection keeps the url and says in the header what it has seen since.
    const headers = { 'last-event-id': `${store.incarnation}:4` }
    expect(seen(await takeEvents(await app.request(path, { headers }), 1))).toEqual([5])
    const refused = await request('GET', '/v1/feed?lastEventId=other:1')
    expect([refused.status, refused.json.code]).toEqual([409, 'LOG_CHANGED'])
  })

  it('without a place has only what comes from now on', async () => {
    const { app, store } = await server()
    await store.append('s-1', numbers(3))
    const response = await app.request('/v1/feed')
    const taking = takeEvents(response, 2)
    await store.append('s-1', numbers(2, 4))
    expect(seen(await taking)).toEqual([4, 5])
  })

  it('has what its filters let through, and ids that pass over the rest', async () => {
    const { app, store } = await server({ limits: { heartbeatMs: 30 } })
    await store.append('a-1', [
      { type: 'A', data: 1, tags: ['k:1'] },
      { type: 'B', data: 2 },
    ])
    await store.append('b-1', [
      { type: 'A', data: 3 },
      { type: 'A', data: 4, tags: ['k:1'] },
    ])
    const take = async (query: string, count: number) => {
      const frames = await takeEvents(await app.request(`/v1/feed?after=0&${query}`), count)
      return frames.map(({ data }) => data.data)
    }
    expect(await take('types=A', 3)).toEqual([1, 3, 4])
    expect(await take('categories=a&types=B', 1)).toEqual([2])
    expect(await take('tags=k:1', 2)).toEqual([1, 4])
    const quiet = await app.request('/v1/feed?types=Nothing')
    for await (const { text } of framesOf(quiet.body as ReadableStream<Uint8Array>)) {
      await store.append('c-1', { type: 'C', data: 5 })
      if (text.includes(`id: ${store.incarnation}:6`)) break
    }
  })

  it('of another log, or beyond its end, is 409 with the choices', async () => {
    const { app, store, request } = await server()
    await store.append('s-1', numbers(1))
    for (const [id, code, status] of [
      ['other:1', 'LOG_CHANGED', 409],
      [`${store.incarnation}:99`, 'LOG_CHANGED', 409],
      ['nonsense', 'REQUEST_MALFORMED', 400],
    ] as const) {
      const refused = await request('GET', '/v1/feed', undefined, { 'last-event-id': id })
      expect([refused.status, refused.json.code]).toEqual([status, code])
      if (code === 'LOG_CHANGED') expect(refused.json.fields.choices).toHaveLength(3)
    }
    expect((await app.request('/v1/feed?after=-1')).status).toBe(422)
  })

  it('has CloudEvents where they are wanted', async () => {
    const { app, store } = await server()
    await store.append('s-1', numbers(1))
    const [frame] = await takeEvents(await app.request('/v1/feed?after=0&format=cloudevent'), 1)
    expect(frame?.data).toMatchObject({ specversion: '1.0', subject: 's-1', data: { n: 1 } })
  })

  it('catches up over more than memory holds, without a gap', async () => {
    const { app, store } = await server()
    const response = await app.request('/v1/feed')
    // Nobody takes anything meanwhile: it falls out of what is held, and reads the log.
    for (let n = 0; n < 10; n++) await store.append('s-1', numbers(500, n * 500 + 1))
    expect(seen(await takeEvents(response, 5000))).toEqual(counting(1, 5000))
  })
})

describe('a feed of a stream', () => {
  it('is by version, and may begin before the stream does', async () => {
    const { app, store } = await server()
    const early = takeEvents(await app.request('/v1/streams/s-1/feed'), 2)
    await store.append('other-1', numbers(3))
    await store.append('s-1', numbers(2))
    expect(seen(await early)).toEqual([1, 2])
    const response = await app.request('/v1/streams/s-1/feed?after=1')
    const taking = takeEvents(response, 450)
    await store.append('s-1', numbers(448, 3))
    await store.append('s-1', numbers(1, 451))
    const frames = await taking
    expect(seen(frames)).toEqual(counting(2, 451))
    expect(frames[0]?.id).toBe(`${store.incarnation}:2`)
  })

  it('that was cut away is 410', async () => {
    const { store, request } = await server()
    await store.append('s-1', numbers(3))
    await store.truncate('s-1', { before: 3 })
    const refused = await request('GET', '/v1/streams/s-1/feed?after=0')
    expect([refused.status, refused.json.code]).toEqual([410, 'STREAM_TRUNCATED'])
  })
})

describe('feeds', () => {
  it('are so many and no more', async () => {
    const { app, request } = await server({ limits: { feedsMax: 1 } })
    const first = await app.request('/v1/feed')
    const refused = await request('GET', '/v1/feed')
    expect([refused.status, refused.json.code]).toEqual([503, 'CONNECTIONS_FULL'])
    await first.body?.cancel()
    expect((await app.request('/v1/feed')).status).toBe(200)
  })

  it('end with a hint when to come back', async () => {
    const { app, close } = await server()
    const response = await app.request('/v1/feed')
    const frames: string[] = []
    let isClosing = false
    for await (const { text } of framesOf(response.body as ReadableStream<Uint8Array>)) {
      frames.push(text)
      if (!isClosing) void close()
      isClosing = true
    }
    expect(frames.at(-1)).toMatch(/^retry: \d{4}\nevent: closing\ndata: \{\}$/)
    const late = await app.request('/v1/feed')
    expect(late.status).toBe(503)
  })

  it('that take nothing are cut off, and cost nothing until then', async () => {
    const { app, store, request } = await server({ limits: { stallMs: 50 } })
    const response = await app.request('/v1/feed')
    const reader = response.body?.getReader()
    await reader?.read()
    await store.append('s-1', numbers(1))
    await expect
      .poll(async () => (await request('GET', '/metrics')).text)
      .toMatch(/eventuali_feeds_cut_total 1/)
    await expect(reader?.read()).rejects.toMatchObject({ code: 'CONNECTIONS_FULL' })
    expect((await request('GET', '/metrics')).text).toContain('eventuali_feeds 0\n')
  })
})

/** Events that were stored as one each and are several today: `parts` of them. */
const splitting = defineEvents({
  Part: event(type<{ n: number; part: number }>(), {
    version: 2,
    formerly: ['Whole'],
    upcast: {
      1: ({ n, parts }) =>
        replacedBy(
          Array.from({ length: parts }, (_, part) => {
            return { type: 'Part', data: { n, part }, version: 2 }
          }),
        ),
    },
  }),
})

const serverOf = async () => {
  const store = await openStore('memory:', { events: [splitting], unknown: 'allow' })
  const made = createServer(store, { auth: { anonymous: 'admin' } })
  onTestFinished(async () => {
    await made.close()
    await store.close()
  })
  return { app: made.app, store }
}
const whole = (n: number, parts: number) => ({ type: 'Whole', data: { n, parts } })
const wanted = (sizes: readonly number[]) =>
  sizes.flatMap((parts, n) => Array.from({ length: parts }, (_, part) => `${n}.${part}`))
// Around the number that is asked for first, and far more than that in the place of one.
const sizes = [...Array.from({ length: 30 }, (_, n) => n % 4), 70, 1, 0, 250, 2, 24, 3, 0]

describe('events that stand in the place of one', () => {
  it.each(['/v1/feed?after=0', '/v1/streams/s-1/feed?after=0'])('are all in %s', async (path) => {
    const { app, store } = await serverOf()
    await store.append(
      's-1',
      sizes.map((parts, n) => whole(n, parts)),
    )
    const all = wanted(sizes)
    const frames = await takeEvents(await app.request(path), all.length)
    expect(frames.map(({ data }) => `${data.data.n}.${data.data.part}`)).toEqual(all)
    // Whoever leaves in their midst comes back before the first of them.
    const ids = frames.map(({ id }) => id)
    const [first, last] = [all.indexOf('33.0'), all.indexOf('33.249')]
    expect(ids.slice(first, last).every((id) => id === undefined)).toBe(true)
    expect(ids[last]).toBe(`${store.incarnation}:34`)
  })
})

describe.each(['/v1/events', '/v1/streams/s-1/events'])('pages of %s', (path) => {
  it.each([
    [1, 'forward'],
    [3, 'forward'],
    [4, 'backward'],
    [50, 'forward'],
  ])(
    'of %i events, %s, keep those together that stand in the place of one',
    async (limit, direction) => {
      const { app, store } = await serverOf()
      await store.append(
        's-1',
        sizes.map((parts, n) => whole(n, parts)),
      )
      const found: string[] = []
      let cursor = ''
      do {
        const next = cursor === '' ? '' : `&cursor=${cursor}`
        const url = `${path}?limit=${limit}&direction=${direction}${next}`
        const page = (await (await app.request(url)).json()) as {
          readonly events: readonly {
            readonly data: { readonly n: number; readonly part: number }
          }[]
          readonly next?: string
        }
        const texts = page.events.map(({ data }) => `${data.n}.${data.part}`)
        found.push(...texts)
        cursor = page.next ?? ''
      } while (cursor !== '')
      const all = wanted(sizes)
      expect(found).toEqual(direction === 'forward' ? all : all.toReversed())
    },
  )
})

describe('feeds that catch up', () => {
  it('leave the thread to others between two pieces', async () => {
    const { app, store } = await server()
    const large = Array.from({ length: 100 }, () => ({ type: 'Large', data: 'x'.repeat(10_000) }))
    for (let n = 0; n < 5; n++) await store.append('large-1', large)
    const order: string[] = []
    const live = await app.request('/v1/feed')
    const following = takeEvents(live, 1).then(() => order.push('live'))
    const late = Array.from({ length: 10 }, async () => {
      await takeEvents(await app.request('/v1/feed?after=0'), 500)
      order.push('late')
    })
    await new Promise((resolve) => setImmediate(resolve))
    await store.append('s-1', numbers(1))
    await Promise.all([following, ...late])
    expect(order[0]).toBe('live')
  })
})
