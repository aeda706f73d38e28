import { createHmac } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openStore } from 'eventuali'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startWebhooks, type Webhook } from './index.ts'
import { isPrivate } from './webhook-address.ts'

const key = Buffer.alloc(32, 7).toString('base64')
const old = Buffer.alloc(24, 1).toString('base64')
const secrets = [`whsec_${key}`, `whsec_${old}`]

interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A receiver that answers with these statuses, one after the other, then with the last of them. */
async function receiver(...statuses: readonly number[]) {
  const received: Received[] = []
  const node = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    received.push({ headers: request.headers, body })
    response.statusCode = statuses[Math.min(received.length, statuses.length) - 1] ?? 204
    response.setHeader('location', 'http://127.0.0.1:1/')
    response.end('x')
  })
  await new Promise<void>((resolve) => node.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void node.close())
  return { received, url: `http://127.0.0.1:${(node.address() as AddressInfo).port}/in` }
}

async function started(hook: Partial<Webhook> & { readonly url: string }) {
  const store = await openStore('memory:')
  const webhooks = startWebhooks(store, [
    {
      ...{ name: 'shop', secrets, after: 0, allowPrivate: true },
      retry: { retryCountMax: 2, firstDelayMs: 1, delayMaxMs: 2 },
      ...hook,
    },
  ])
  onTestFinished(async () => {
    await webhooks.stop()
    await store.close()
  })
  return store
}

describe('webhooks', () => {
  it('send signed CloudEvents, filtered, in order', async () => {
    const { received, url } = await receiver(204)
    const store = await started({ url, types: ['A'] })
    await store.append('s-1', [
      { type: 'A', data: { n: 1 } },
      { type: 'B', data: {} },
      { type: 'A', data: { n: 2 } },
    ])
    await expect.poll(() => received.length, { timeout: 10_000 }).toBe(2)
    const bodies = received.map(({ body }) => JSON.parse(body))
    expect(bodies).toMatchObject([
      { specversion: '1.0', type: 'A', subject: 's-1', data: { n: 1 } },
      { data: { n: 2 }, position: 3 },
    ])
    for (const { headers, body } of received) {
      expect(headers['content-type']).toBe('application/cloudevents+json')
      const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
      const signatures = [key, old].map((secret) => {
        const hmac = createHmac('sha256', Buffer.from(secret, 'base64'))
        return `v1,${hmac.update(signed).digest('base64')}`
      })
      expect(headers['webhook-signature']).toBe(signatures.join(' '))
    }
  })

  it('are tried again under the same id, and then taken', async () => {
    const { received, url } = await receiver(500, 302, 200)
    const store = await started({ url })
    await store.append('s-1', { type: 'A', data: {} })
    await expect.poll(() => received.length, { timeout: 10_000 }).toBe(3)
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    await expect
      .poll(async () => (await store.subscriptions.status('webhook:shop'))?.position, {
        timeout: 10_000,
      })
      .toBe(1)
    expect(await store.deadLetters.list()).toEqual([])
  })

  it('that nobody takes are parked, and go out once they are retried', async () => {
    const { received, url } = await receiver(500, 500, 500, 204)
    const store = await started({ url })
    await store.append('s-1', { type: 'A', data: {} })
    await expect.poll(() => store.deadLetters.list(), { timeout: 10_000 }).toHaveLength(1)
    const [letter] = await store.deadLetters.list()
    expect(letter).toMatchObject({
      subscription: 'webhook:shop',
      error: { message: 'webhook shop was answered with status 500' },
    })
    await store.deadLetters.retry(letter?.id ?? '')
    await expect.poll(() => received.length, { timeout: 10_000 }).toBe(4)
    await expect
      .poll(() => store.deadLetters.list({ state: 'parked' }), { timeout: 10_000 })
      .toEqual([])
  })

  it('reach no private address, by whatever name', async () => {
    const { received, url } = await receiver(204)
    const { port } = new URL(url)
    for (const host of [
      '127.0.0.1',
      '2130706433',
      '[::1]',
      '[::ffff:10.0.0.1]',
      '169.254.169.254',
    ]) {
      await expect(
        started({ url: `https://${host}:${port}/`, allowPrivate: false }),
      ).rejects.toThrow(/private network/)
    }
    // The name is only looked up when it connects.
    const store = await started({ url: `https://localhost:${port}/`, allowPrivate: false })
    await store.append('s-1', { type: 'A', data: {} })
    await expect
      .poll(() => store.deadLetters.list(), { timeout: 10_000 })
      .toMatchObject([
        { error: { message: expect.stringContaining('localhost is an address of a private') } },
      ])
    expect(received).toEqual([])
  })

  it('need a url of https and a secret that is one', async () => {
    for (const [argument, hook] of [
      ['url', { url: 'http://example.com/', allowPrivate: false }],
      ['url', { url: 'https://a:b@example.com/' }],
      ['url', { url: 'nothing' }],
      ['secrets', { url: 'https://example.com/', secrets: [] }],
      ['secrets', { url: 'https://example.com/', secrets: ['whsec_c2hvcnQ='] }],
      ['secrets', { url: 'https://example.com/', secrets: [key] }],
      ['name', { url: 'https://example.com/', name: 'a b' }],
      ['timeoutMs', { url: 'https://example.com/', timeoutMs: 0 }],
    ] as const) {
      await expect(started(hook)).rejects.toMatchObject({ argument })
    }
  })

  it('know which addresses are private', () => {
    for (const address of ['10.1.2.3', '172.31.0.1', '::1', 'fd00::1', '::ffff:127.0.0.1', 'x']) {
      expect([address, isPrivate(address)]).toEqual([address, true])
    }
    for (const address of ['8.8.8.8', '172.32.0.1', '2606:4700::1111']) {
      expect([address, isPrivate(address)]).toEqual([address, false])
    }
  })
})
