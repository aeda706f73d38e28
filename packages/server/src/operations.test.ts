import { collection, defineEvents, defineProjection, openStore, type } from 'eventuali'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createServer } from './index.ts'
import { server } from './server.test-support.ts'

const at = '/v1/projections/orders'

/** A server whose projection has something to show, and what its rebuild has come to. */
async function operated() {
  const made = await server()
  await made.store.projections.start()
  const { json } = await made.place('1')
  await made.store.projected('orders', json.position, { timeoutMs: 10_000 })
  const ended = async () => {
    const rebuildOf = async () => (await made.request('GET', at)).json.rebuild
    await expect
      .poll(async () => (await rebuildOf()).state, { timeout: 20_000 })
      .not.toBe('running')
    return rebuildOf()
  }
  return { ...made, ended }
}

describe('projections', () => {
  it('are rebuilt, compared, switched and rolled back', async () => {
    const { request, ended, store } = await operated()
    const begun = await request('POST', `${at}/rebuild`, { requireEqual: true })
    expect([begun.status, begun.json.rebuild.state]).toEqual([202, 'running'])
    expect(begun.json.rebuild).toMatchObject({ by: 'anonymous', startedAt: expect.any(String) })
    expect(await ended()).toMatchObject({ state: 'done', generation: 2, equal: true, skipped: 0 })
    const compared = await request('GET', `${at}/comparison`)
    expect(compared.json).toMatchObject({ equal: true, same: 1, rows: [] })
    const back = await request('POST', `${at}/rollback`)
    expect([back.status, back.json.live.generation]).toEqual([200, 1])
    const forth = await request('POST', `${at}/switch`, { generation: 2 })
    expect(forth.json.live.generation).toBe(2)
    expect((await request('POST', `${at}/switch`, { generation: 9 })).status).toBe(422)
    expect((await request('GET', `${at}/collections/orders`)).json.documents).toHaveLength(1)
    expect((await store.projections.status())[0]?.live?.generation).toBe(2)
  })

  it('that are not there, or not rebuilt, are told', async () => {
    const { request } = await operated()
    for (const path of ['rebuild', 'rollback']) {
      expect((await request('POST', `/v1/projections/none/${path}`)).status).toBe(404)
    }
    expect((await request('DELETE', `${at}/rebuild`)).status).toBe(404)
    expect((await request('POST', `${at}/rebuild`, { onError: 'shrug' })).status).toBe(422)
    expect((await request('POST', `${at}/rollback`)).json.code).toBe('ARGUMENT_INVALID')
    expect((await request('GET', '/v1/projections/none/comparison')).status).toBe(404)
  })

  it('that fail to build say why, give up when told to, and at the end of the server', async () => {
    const events = defineEvents({ Went: type<{ n: number }>() })
    const gate = Promise.withResolvers<void>()
    let fails = true
    const slow = defineProjection({
      ...{ name: 'orders', version: 1, events: [events] },
      collections: { orders: collection<{ n: number }>() },
      handlers: {
        Went: async ({ data, stream }, ctx) => {
          if (fails) throw new Error('no such thing')
          await gate.promise
          await ctx.collection('orders').put(stream, data)
        },
      },
    })
    const store = await openStore('memory:', { projections: [slow] })
    onTestFinished(() => store.close())
    const made = createServer(store, { auth: { anonymous: 'admin' }, onError: () => {} })
    const ask = async (method: string, path: string) => {
      const answer = await made.app.request(path, { method })
      // biome-ignore lint/suspicious/noExplicitAny: statuses of all shapes.
      return (await answer.json()) as any
    }
    const state = async () => (await ask('GET', at)).rebuild
    const settled = (wanted: string) =>
      expect.poll(async () => (await state()).state, { timeout: 20_000 }).toBe(wanted)
    await store.append('went-1', events.Went({ n: 1 }))
    await ask('POST', `${at}/rebuild`)
    await settled('failed')
    expect((await state()).error.code).toBe('PROJECTION_BUILD_FAILED')
    fails = false
    expect((await ask('POST', `${at}/rebuild`)).rebuild.state).toBe('running')
    // The same again is the same one.
    expect((await ask('POST', `${at}/rebuild`)).rebuild).toMatchObject({ state: 'running' })
    const given = ask('DELETE', `${at}/rebuild`)
    gate.resolve()
    await given
    expect((await state()).error).toMatchObject({ code: 'ABORTED' })
    await ask('POST', `${at}/rebuild`)
    await made.close()
    expect((await store.projections.status())[0]?.build).toBeUndefined()
  })
})

describe('subscriptions', () => {
  it('are sent back, and no further than the log goes', async () => {
    const { request, place, store } = await server()
    const seen: number[] = []
    const subscription = store.subscribe({ name: 'mailer', after: 0 }, ({ position }) => {
      seen.push(position)
    })
    onTestFinished(() => subscription.stop())
    await place('1')
    await place('2')
    await subscription.reached(2)
    const reset = await request('POST', '/v1/subscriptions/mailer/reset', { position: 1 })
    expect([reset.status, reset.json.position]).toEqual([200, 1])
    await expect.poll(() => seen, { timeout: 20_000 }).toEqual([1, 2, 2])
    const beyond = await request('POST', '/v1/subscriptions/mailer/reset', { position: 9 })
    expect([beyond.status, beyond.json.code]).toEqual([422, 'REQUEST_INVALID'])
    const none = await request('POST', '/v1/subscriptions/none/reset', { position: 0 })
    expect(none.json.code).toBe('SUBSCRIPTION_UNKNOWN')
  })
})

describe('dead letters of a subscription', () => {
  /** A server whose mailer has parked an event of each of three orders. */
  async function parked() {
    const made = await server()
    const options = { name: 'mailer', after: 0, onPoison: 'park-key', partitionBy: 'stream' }
    const subscription = made.store.subscribe(
      { ...options, retry: { retryCountMax: 0 } } as never,
      () => {
        throw new Error('no mail today')
      },
    )
    for (const id of ['1', '2', '3']) await made.place(id)
    const lettersIn = async (state: string) => {
      const { json } = await made.request('GET', `/v1/dead-letters?state=${state}`)
      return json.letters.map(({ stream }: { stream: string }) => stream).sort()
    }
    await expect
      .poll(() => lettersIn('parked'), { timeout: 10_000 })
      .toEqual(['order-1', 'order-2', 'order-3'])
    // Nobody handles them from here on: what is asked for is seen as it was asked.
    await subscription.stop()
    return { ...made, lettersIn }
  }
  const of = '/v1/subscriptions/mailer'

  it('are retried by their key, given up by their key or all at once, and pruned', async () => {
    const { request, lettersIn, store } = await parked()
    const discardAll = vi.spyOn(store.deadLetters, 'discardAll')
    const prune = vi.spyOn(store.deadLetters, 'prune')
    const retried = await request('POST', `${of}/retry-dead-letters`, { key: 'order-2' })
    expect(retried.json).toEqual({ requested: 1 })
    expect(await lettersIn('requested')).toEqual(['order-2'])
    const body = { reason: 'a test order', key: 'order-3' }
    const one = await request('POST', `${of}/discard-dead-letters`, body)
    expect([one.status, one.json]).toEqual([200, { discarded: 1 }])
    expect(await lettersIn('discarded')).toEqual(['order-3'])
    const rest = await request('POST', `${of}/discard-dead-letters`, { reason: 'gone' })
    expect(rest.json).toEqual({ discarded: 1 })
    expect(await lettersIn('discarded')).toEqual(['order-1', 'order-3'])
    expect(discardAll.mock.calls).toMatchObject([
      ['mailer', { ...body, actor: 'anonymous' }],
      ['mailer', { reason: 'gone', actor: 'anonymous' }],
    ])
    const remove = async (given: object) =>
      (await request('POST', '/v1/dead-letters/prune', given)).json
    expect(await remove({ before: '2001-01-01T00:00:00Z' })).toEqual({ removed: 0 })
    const before = '2999-01-01T00:00:00Z'
    expect(await remove({ before, subscription: 'mailer' })).toEqual({ removed: 2 })
    expect(await remove({ before })).toEqual({ removed: 0 })
    expect(prune.mock.lastCall).toMatchObject([{ before: new Date(before), actor: 'anonymous' }])
    expect(await lettersIn('any')).toEqual(['order-2'])
  })

  it('stay as they are when the request does not fit, or names nobody', async () => {
    const { request, lettersIn } = await parked()
    for (const [path, body] of [
      [`${of}/discard-dead-letters`, {}],
      [`${of}/discard-dead-letters`, { reason: ' ' }],
      [`${of}/discard-dead-letters`, { reason: 'gone', key: '' }],
      [`${of}/retry-dead-letters`, { key: 7 }],
      ['/v1/dead-letters/prune', {}],
      ['/v1/dead-letters/prune', { before: 'yesterday' }],
    ] as const) {
      expect([path, body, (await request('POST', path, body)).status]).toEqual([path, body, 422])
    }
    for (const [path, body] of [
      ['/v1/subscriptions/nailer/discard-dead-letters', { reason: 'gone' }],
      ['/v1/subscriptions/nailer/retry-dead-letters', {}],
      ['/v1/dead-letters/prune', { before: '2999-01-01T00:00:00Z', subscription: 'nailer' }],
    ] as const) {
      const { status, json } = await request('POST', path, body)
      expect([path, status, json.detail]).toEqual([path, 404, 'there is no subscription "nailer"'])
    }
    expect(await lettersIn('parked')).toHaveLength(3)
  })
})

describe('kept states', () => {
  it('are made, listed and dropped', async () => {
    const { request, place } = await server()
    for (const id of ['1', '2']) {
      await place(id)
      const kept = await request('POST', `/v1/aggregates/order/${id}/snapshots`)
      expect([kept.status, kept.json]).toMatchObject([201, { stream: `order-${id}`, version: 1 }])
    }
    const streams = async (query = '') =>
      (await request('GET', `/v1/snapshots${query}`)).json.snapshots.map(
        ({ stream }: { stream: string }) => stream,
      )
    expect(await streams()).toEqual(['order-1', 'order-2'])
    expect(await streams('?after=order-1')).toEqual(['order-2'])
    expect(await streams('?prefix=cart-')).toEqual([])
    const missing = await request('POST', '/v1/aggregates/order/9/snapshots')
    expect([missing.status, missing.json.detail]).toEqual([
      404,
      'nothing is kept of order-9: it has no events, or keeps no states',
    ])
    expect((await request('POST', '/v1/aggregates/cart/1/snapshots')).status).toBe(404)
    // Not by a slip: a name that was left out of the path.
    expect((await request('DELETE', '/v1/snapshots')).status).toBe(422)
    expect((await request('DELETE', '/v1/snapshots?all=true')).json).toEqual({ dropped: 2 })
    expect(await streams()).toEqual([])
  })
})

describe('schemas', () => {
  it('of the aggregates and of other languages are registered, once', async () => {
    const { request } = await server()
    const own = await request('POST', '/v1/schemas')
    expect([own.status, own.json]).toEqual([200, { registered: 2 }])
    const schema = { type: 'object', properties: { sum: { type: 'number' } } }
    const schemas = [1, 2].map((version) => ({ type: 'Paid', version, schema }))
    expect((await request('POST', '/v1/schemas', { schemas })).json).toEqual({ registered: 2 })
    expect((await request('POST', '/v1/schemas', { schemas })).json).toEqual({ registered: 0 })
    const known = (await request('GET', '/v1/schemas?type=Paid')).json.schemas
    expect(known).toMatchObject([{ version: 1, schema }, { version: 2 }])
    for (const bad of [
      { schemas: [] },
      { schemas: [{ type: 'Paid', version: 0, schema }] },
      { schemas: [{ type: 'Paid', version: 1, schema: 'x' }] },
      { schemas: [{ type: '$paid', version: 1, schema }] },
    ]) {
      expect([bad, (await request('POST', '/v1/schemas', bad)).status]).toEqual([bad, 422])
    }
  })
})

it('what changes something takes an admin', async () => {
  const { request } = await server({ auth: { anonymous: 'write' } })
  for (const [method, path] of [
    ['POST', `${at}/rebuild`],
    ['DELETE', `${at}/rebuild`],
    ['POST', `${at}/switch`],
    ['POST', `${at}/rollback`],
    ['POST', '/v1/subscriptions/mailer/reset'],
    ['POST', '/v1/subscriptions/mailer/retry-dead-letters'],
    ['POST', '/v1/subscriptions/mailer/discard-dead-letters'],
    ['POST', '/v1/dead-letters/prune'],
    ['POST', '/v1/aggregates/order/1/snapshots'],
    ['DELETE', '/v1/snapshots?all=true'],
    ['POST', '/v1/schemas'],
  ] as const) {
    expect([path, (await request(method, path)).status]).toEqual([path, 403])
  }
})
