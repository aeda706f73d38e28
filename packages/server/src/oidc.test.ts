import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openStore } from 'eventuali'
import Provider, { type JWK } from 'oidc-provider'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { createServer, type EventualiServer } from './index.ts'

const audience = 'https://events.example.com'
const client = { id: 'shop', secret: 'a-secret-of-the-shop' }
const TOKEN_SECONDS = 60
/** Longer than keys that were just fetched are trusted to be all that there are. */
const KEYS_PAUSE_MS = 31_000

let answer: RequestListener = (_request, response) => response.writeHead(503).end()
const asked: string[] = []
const http = createHttpServer((request, response) => {
  asked.push(request.url ?? '')
  answer(request, response)
})
let issuer = ''

function key(kid: string, privateKey?: KeyObject): JWK {
  const pair = privateKey ?? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  return { ...(pair.export({ format: 'jwk' }) as JWK), kid, alg: 'ES256', use: 'sig' }
}

/** A provider at the issuer's address, in the place of the one before. */
function provide(keys: readonly JWK[]): void {
  const scope = 'eventuali:read eventuali:write'
  const provider = new Provider(issuer, {
    clients: [
      {
        ...{ client_id: client.id, client_secret: client.secret, scope },
        ...{ grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
        id_token_signed_response_alg: 'ES256',
      },
    ],
    jwks: { keys: [...keys] },
    scopes: scope.split(' '),
    cookies: { keys: [randomUUID()] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          ...{ scope, audience: resource, accessTokenTTL: TOKEN_SECONDS },
          ...{ accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } },
        }),
      },
    },
  })
  answer = provider.callback()
}

async function token(scope = 'eventuali:write', resource = audience): Promise<string> {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${client.id}:${client.secret}`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope, resource }),
  })
  const body = (await response.json()) as { access_token?: string }
  expect([response.status, body]).toMatchObject([200, { access_token: expect.any(String) }])
  return body.access_token as string
}

let server: EventualiServer
let close: () => Promise<void>

async function ask(bearer: string, method = 'GET'): Promise<number> {
  const body = method === 'GET' ? null : JSON.stringify({ type: 'OrderPlaced', data: 1 })
  const answered = await server.app.request('/v1/streams/order-1/events', {
    ...{ method, body },
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
  })
  return answered.status
}

/** As if so much time had passed, for keys and tokens alike. */
const pass = (ms: number) => vi.setSystemTime(Date.now() + ms)

beforeAll(async () => {
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  issuer = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  // What it says about itself: that it is not behind TLS, and not a production of anything.
  vi.spyOn(console, 'warn').mockImplementation(() => {})
  vi.spyOn(console, 'info').mockImplementation(() => {})
})
afterAll(() => {
  http.closeAllConnections()
  http.close()
  vi.restoreAllMocks()
})
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  const store = await openStore('memory:')
  server = createServer(store, { auth: { jwt: { issuer, audience, algorithms: ['ES256'] } } })
  close = async () => {
    await server.close()
    await store.close()
  }
})
afterEach(async () => {
  await close()
  vi.useRealTimers()
})

it('takes the tokens of a provider, whose keys it finds by itself', async () => {
  provide([key('first')])
  asked.length = 0
  const [writer, reader] = [await token(), await token('eventuali:read')]
  expect([await ask(writer, 'POST'), await ask(reader), await ask(reader, 'POST')]).toEqual([
    ...[201, 200, 403],
  ])
  const found = await server.app.request('/v1/streams/order-1/events', {
    headers: { authorization: `Bearer ${reader}` },
  })
  const { events } = (await found.json()) as { events: { metadata: object }[] }
  expect(events[0]?.metadata).toMatchObject({ actor: client.id })
  // Once each, however many tokens come.
  expect(asked.filter((path) => path !== '/token')).toEqual([
    ...['/.well-known/openid-configuration', '/jwks'],
  ])
})

it('goes along with new keys, and refuses those that are gone', async () => {
  const old = key('old')
  provide([old])
  const before = await token()
  expect(await ask(before)).toBe(404)
  provide([key('new'), old])
  pass(KEYS_PAUSE_MS)
  // Both hold while tokens of the old one are about.
  expect([await ask(await token()), await ask(before)]).toEqual([404, 404])
  provide([key('newest')])
  pass(KEYS_PAUSE_MS)
  expect(await ask(await token())).toBe(404)
  provide([old])
  expect(await ask(await token())).toBe(401)
})

it('refuses tokens that are for others, out of date, changed, or of nobody', async () => {
  provide([key('only')])
  const good = await token()
  expect(await ask(good)).toBe(404)
  expect(await ask(await token('eventuali:write', 'https://other.example.com'))).toBe(401)
  const [head = '', body = '', signature = ''] = good.split('.')
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as object
  const forged = Buffer.from(JSON.stringify({ ...claims, scope: 'eventuali:admin' }))
  const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt' })).toString('base64url')
  for (const bad of [
    `${head}.${forged.toString('base64url')}.${signature}`,
    `${none}.${body}.`,
    `${none}.${body}.${signature}`,
  ]) {
    expect(await ask(bad)).toBe(401)
  }
  const mine = key('only')
  provide([mine])
  // The same name, another key: made by somebody who only knows what is public.
  expect(await ask(await token())).toBe(401)
  pass(TOKEN_SECONDS * 1000 + 10_000)
  expect(await ask(good)).toBe(401)
})

it('asks again when the provider was away, and believes no other one', async () => {
  answer = (_request, response) => response.writeHead(503).end()
  const faults: unknown[] = []
  await close()
  const store = await openStore('memory:')
  server = createServer(store, {
    auth: { jwt: { issuer, audience, algorithms: ['ES256'] } },
    onError: (error) => faults.push(error),
  })
  close = async () => {
    await server.close()
    await store.close()
  }
  provide([key('only')])
  const good = await token()
  const provider = answer
  answer = (request, response) =>
    request.url === '/jwks'
      ? provider(request, response)
      : response.end(JSON.stringify({ issuer: 'https://other', jwks_uri: `${issuer}/jwks` }))
  asked.length = 0
  expect([await ask(good), await ask(good)]).toEqual([500, 500])
  expect([asked.length, faults.length]).toEqual([1, 2])
})
