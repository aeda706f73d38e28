import { openStore } from 'eventuali'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { hashApiKey, serve } from './index.ts'
import { server } from './server.test-support.ts'

const keys = {
  reader: 'reader_0123456789',
  writer: 'writer_0123456789',
  admin: 'admin_00123456789',
}
const auth = {
  keys: [
    { name: 'reader', role: 'read' as const, hash: hashApiKey(keys.reader) },
    { name: 'writer', role: 'write' as const, hash: hashApiKey(keys.writer) },
    { name: 'admin', role: 'admin' as const, hash: hashApiKey(keys.admin) },
  ],
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe('API keys', () => {
  it('give a role each, and no more', async () => {
    const { request } = await server({ auth })
    const statuses = async (key: string) => {
      const headers = bearer(key)
      const read = await request('GET', '/v1/events', undefined, headers)
      const write = await request('POST', '/v1/streams/a-1/events', { type: 'T' }, headers)
      const remove = await request('DELETE', '/v1/streams/a-1', undefined, headers)
      return [read.status, write.status, remove.status]
    }
    expect(await statuses(keys.reader)).toEqual([200, 403, 403])
    expect(await statuses(keys.writer)).toEqual([200, 201, 403])
    expect(await statuses(keys.admin)).toEqual([200, 201, 200])
    const log = await request('GET', '/v1/events?limit=1', undefined, bearer(keys.reader))
    expect(log.status).toBe(200)
  })

  it('leave their name with what was appended', async () => {
    const { request } = await server({ auth })
    const done = await request('POST', '/v1/streams/a-1/events', { type: 'T' }, bearer(keys.writer))
    expect(done.json.events[0].metadata).toEqual({ actor: 'writer' })
  })

  it('are needed: nobody else is let in', async () => {
    const { request } = await server({ auth })
    for (const headers of [
      {},
      bearer('writer_012345678'),
      bearer(''),
      { authorization: `Basic ${keys.admin}` },
      bearer('x'.repeat(10_000)),
    ]) {
      const refused = await request('GET', '/v1/events', undefined, headers)
      expect([refused.status, refused.json.code]).toEqual([401, 'UNAUTHENTICATED'])
      expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer realm="eventuali"/)
    }
    const shown = await request('GET', '/v1/events', undefined, { 'x-api-key': keys.reader })
    expect(shown.status).toBe(200)
    for (const path of ['/health/live', '/health/ready', '/openapi.json', '/reference']) {
      expect((await request('GET', path)).status).toBe(200)
    }
    for (const path of ['/health/detail', '/metrics', '/v1/port']) {
      expect((await request('GET', path)).status).toBe(401)
    }
  })

  it('cannot be guessed fast', async () => {
    const { request } = await server({ auth })
    const statuses = new Set<number>()
    for (let n = 0; n < 30; n++) {
      statuses.add((await request('GET', '/v1/events', undefined, bearer(`guess-${n}`))).status)
    }
    expect([...statuses]).toEqual([401, 429])
  })

  it('are refused in a configuration when they are no hashes', async () => {
    expect(() => hashApiKey('short')).toThrow(/16/)
    const bad = { keys: [{ name: 'x', role: 'read' as const, hash: keys.reader }] }
    await expect(server({ auth: bad })).rejects.toMatchObject({ argument: 'auth.keys' })
  })
})

describe('tokens', async () => {
  const issuer = 'https://id.example.com'
  const audience = 'events'
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), alg: 'ES256', kid: 'a' }] }
  const jwt = { issuer, audience, jwks }
  const token = (
    over: { iss?: string; aud?: string; scope?: string; exp?: string | number } = {},
    key: typeof privateKey = privateKey,
  ) =>
    new SignJWT({ scope: over.scope ?? 'openid eventuali:write' })
      .setProtectedHeader({ alg: 'ES256', kid: 'a' })
      .setIssuer(over.iss ?? issuer)
      .setAudience(over.aud ?? audience)
      .setSubject('ada')
      .setExpirationTime(over.exp ?? '5m')
      .sign(key)

  it('of the issuer let in with the role of their scope', async () => {
    const { request } = await server({ auth: { jwt } })
    const headers = bearer(await token())
    const done = await request('POST', '/v1/streams/a-1/events', { type: 'T' }, headers)
    expect(done.json.events[0].metadata).toEqual({ actor: 'ada' })
    expect((await request('DELETE', '/v1/streams/a-1', undefined, headers)).status).toBe(403)
    const none = bearer(await token({ scope: 'openid' }))
    expect((await request('GET', '/v1/events', undefined, none)).status).toBe(403)
  })

  it('of anybody else do not', async () => {
    const { request } = await server({ auth: { jwt } })
    const other = await generateKeyPair('ES256')
    const unsigned = `${btoa('{"alg":"none"}')}.${btoa(
      JSON.stringify({ iss: issuer, aud: audience, exp: 9e9, scope: 'eventuali:admin' }),
    )}.`.replaceAll('=', '')
    // The public key as a shared secret: what a verifier falls for that trusts the header.
    const confused = await new SignJWT({ scope: 'eventuali:admin' })
      .setProtectedHeader({ alg: 'HS256', kid: 'a' })
      .setIssuer(issuer)
      .setAudience(audience)
      .setExpirationTime('5m')
      .sign(new TextEncoder().encode(JSON.stringify(jwks.keys[0])))
    const endless = await new SignJWT({ scope: 'eventuali:admin' })
      .setProtectedHeader({ alg: 'ES256', kid: 'a' })
      .setIssuer(issuer)
      .setAudience(audience)
      .sign(privateKey)
    for (const [why, shown] of Object.entries({
      issuer: await token({ iss: 'https://evil.example.com' }),
      audience: await token({ aud: 'else' }),
      expired: await token({ exp: Math.floor(Date.now() / 1000) - 60 }),
      signature: await token({}, other.privateKey),
      unsigned,
      confused,
      endless,
    })) {
      const refused = await request('GET', '/v1/events', undefined, bearer(shown))
      expect([why, refused.status, refused.json.code]).toEqual([why, 401, 'UNAUTHENTICATED'])
    }
  })

  it('need options that say whose they are', async () => {
    for (const [argument, options] of [
      ['auth.jwt.issuer', { ...jwt, issuer: '' }],
      ['auth.jwt.audience', { ...jwt, audience: '' }],
      ['auth.jwt.algorithms', { ...jwt, algorithms: ['none'] }],
      ['auth.jwt.algorithms', { ...jwt, algorithms: ['HS256'] }],
      ['auth.jwt', { ...jwt, jwksUrl: 'https://id.example.com/keys' }],
      ['auth.jwt.issuer', { issuer: 'somebody', audience }],
      ['auth.jwt.jwksUrl', { issuer, audience, jwksUrl: 'http://id.example.com/keys' }],
    ] as const) {
      await expect(server({ auth: { jwt: options } })).rejects.toMatchObject({ argument })
    }
  })
})

describe('the gate', () => {
  it('answers to loopback names and to those that it was given', async () => {
    const { app } = await server({ hosts: ['api.example.com'] })
    const status = async (host: string) =>
      (await app.request('/health/live', { headers: { host } })).status
    expect(await status('localhost:4400')).toBe(200)
    expect(await status('127.0.0.1')).toBe(200)
    expect(await status('[::1]:80')).toBe(200)
    expect(await status('api.example.com')).toBe(200)
    expect(await status('evil.example.com')).toBe(403)
    expect(await status('localhost.evil.com')).toBe(403)
  })

  it('refuses pages from elsewhere, and lets those in that were named', async () => {
    const { app } = await server({ origins: ['https://studio.example.com'] })
    const ask = (origin: string, method = 'GET') =>
      app.request('/v1/events', {
        method,
        headers: { host: 'localhost:4400', origin, 'access-control-request-method': 'GET' },
      })
    expect((await ask('https://evil.example.com')).status).toBe(403)
    expect((await ask('null')).status).toBe(403)
    expect((await ask('http://localhost:4400')).status).toBe(200)
    const named = await ask('https://studio.example.com')
    expect(named.headers.get('access-control-allow-origin')).toBe('https://studio.example.com')
    expect((await ask('https://studio.example.com', 'OPTIONS')).status).toBe(204)
  })

  it('bounds how often one caller asks', async () => {
    const { request } = await server({ limits: { rate: { perSecond: 1, burst: 3 } } })
    const statuses = []
    for (let n = 0; n < 5; n++) statuses.push((await request('GET', '/v1/positions')).status)
    expect(statuses).toEqual([200, 200, 200, 429, 429])
    expect((await request('GET', '/v1/positions')).headers.get('retry-after')).toBe('1')
  })

  it('names methods, and what is not served', async () => {
    const { request } = await server()
    const put = await request('PUT', '/v1/streams/a-1', {})
    expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, HEAD, DELETE'])
    expect((await request('GET', '/v2')).json.code).toBe('NOT_FOUND')
  })

  it('is closed to other machines while nobody says who is let in', async () => {
    const store = await openStore('memory:')
    await expect(serve(store, { port: 0, host: '0.0.0.0' })).rejects.toMatchObject({
      argument: 'auth',
    })
    await store.close()
    const { request } = await server({ auth: undefined as never })
    expect((await request('GET', '/v1/events')).status).toBe(401)
  })
})
