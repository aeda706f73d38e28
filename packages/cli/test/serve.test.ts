import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore, secret } from 'eventuali'
import { expect, it, onTestFinished } from 'vitest'
import { type RunResult, runCli } from './run-cli.ts'

/** The first line of standard output: where it listens. */
function urlOf(out: string): string | undefined {
  return /^(http:\S+)\n/.exec(out)?.[1]
}

it('serves a store until Ctrl-C, and ends with what is under way', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-serve-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const store = `sqlite:${join(folder, 'log.db')}`
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const worked = Promise.withResolvers<void>()
    const ended = await runCli(['serve', '--store', store, '--port', '0'], {
      cwd: folder,
      during: (child) => {
        let out = ''
        child.stdout?.on('data', async (chunk) => {
          out += chunk
          const url = urlOf(out)
          if (url === undefined) return
          try {
            await using remote = await openStore(url)
            await remote.append('order-1', { type: 'OrderPlaced', data: { total: 30 } })
            expect((await fetch(`${url}/health/ready`)).status).toBe(200)
            const feed = await fetch(`${url}/v1/feed`)
            child.kill(signal)
            expect(await feed.text()).toContain('event: closing')
            worked.resolve()
          } catch (error) {
            child.kill('SIGKILL')
            worked.reject(error)
          }
        })
      },
    })
    await worked.promise
    expect([ended.code, ended.err]).toEqual([0, expect.stringContaining('closing')])
  }
  await using left = await openStore(store)
  expect((await left.stream('order-1'))?.version).toBe(2)
})

/** A program that events are sent to, and what it gets. */
async function startReceiver() {
  const bodies: string[] = []
  const arrived = Promise.withResolvers<void>()
  const receiver = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    bodies.push(`${request.headers['webhook-signature']} ${body}`)
    response.end()
    arrived.resolve()
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void receiver.close())
  await once(receiver, 'listening')
  const { port } = receiver.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/`, bodies, arrived: arrived.promise }
}

/** Serves while `work` runs, then ends by Ctrl-C. */
async function serveFor(
  argv: readonly string[],
  options: { readonly cwd: string; readonly env?: Record<string, string> },
  work: (url: string) => Promise<void>,
): Promise<RunResult> {
  const worked = Promise.withResolvers<void>()
  const ended = runCli(['serve', ...argv], {
    ...options,
    during: (child) => {
      let out = ''
      child.stdout?.on('data', async (chunk) => {
        out += chunk
        const url = urlOf(out)
        if (url === undefined) return
        try {
          await work(url)
          child.kill('SIGINT')
          worked.resolve()
        } catch (error) {
          child.kill('SIGKILL')
          worked.reject(error)
        }
      })
    },
  })
  // One that ends before it listens tells why.
  await Promise.race([worked.promise, ended])
  return ended
}

it('sends events to the webhooks of the configuration, and logs as it says', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-serve-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const { url: target, bodies, arrived } = await startReceiver()
  const billing = {
    ...{ url: target, allowPrivate: true, after: 0, types: ['OrderPlaced'] },
    secrets: [secret('env:HOOK_SECRET')],
  }
  const config = {
    store: `sqlite:${join(folder, 'log.db')}`,
    server: { port: 0, webhooks: { billing }, cloudEventSource: '/shop' },
    log: { level: 'info', format: 'json' },
  }
  const text = `export default ${JSON.stringify(config)}\n`
  writeFileSync(join(folder, 'eventuali.config.mjs'), text)
  const env = { HOOK_SECRET: `whsec_${Buffer.alloc(32, 7).toString('base64')}` }
  const ended = await serveFor([], { cwd: folder, env }, async (url) => {
    await using remote = await openStore(url)
    await remote.append('order-ada', { type: 'OrderPlaced', data: { note: 'a private word' } })
    await fetch(`${url}/v1/streams/order-bob`)
    await arrived
  })
  expect(ended.code).toBe(0)
  const body = /^v1,\S+ \{.*"source":"\/shop\/streams\/order-ada".*a private word/
  expect(bodies).toEqual([expect.stringMatching(body)])
  const lines = ended.err
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const sentences = lines.map(({ message }) => message).filter((one) => one !== 'request')
  expect(sentences).toEqual([
    'sending events to billing',
    expect.stringContaining('serving'),
    expect.stringContaining('closing'),
    'closed',
  ])
  expect(lines).toContainEqual(
    expect.objectContaining({ method: 'GET', route: '/v1/streams/{stream}', status: 404 }),
  )
  expect(ended.err).not.toMatch(/private word|order-ada|order-bob|whsec_/)
  const silent = ['--no-webhooks', '--log', 'silent']
  const quiet = await serveFor(silent, { cwd: folder, env }, async (url) => {
    await fetch(`${url}/v1/streams/order-bob`)
  })
  expect([quiet.code, quiet.err, bodies.length]).toEqual([0, '', 1])
})

it('refuses webhooks that cannot be meant, before it listens', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-serve-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const [billing, words] of [
    [{ url: 'http://billing.example.com', secrets: ['whsec_x'] }, 'must be one of https'],
    [{ url: 'https://billing.example.com', secrets: ['x'] }, 'random bytes in base64'],
    [
      { url: 'https://billing.example.com', secrets: [secret('env:NOT_SET')] },
      'the secret env:NOT_SET',
    ],
  ] as const) {
    const config = { store: 'memory:', server: { port: 0, webhooks: { billing } } }
    writeFileSync(join(folder, 'a.mjs'), `export default ${JSON.stringify(config)}\n`)
    const ended = await runCli(['serve', '--config', 'a.mjs'], { cwd: folder })
    expect([ended.code, ended.out, ended.err]).toEqual([1, '', expect.stringContaining(words)])
  }
})

it('answers models with the guide and stored events, when it is told to', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-serve-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const argv = ['--store', `sqlite:${join(folder, 'log.db')}`, '--port', '0', '--mcp']
  const ended = await serveFor(argv, { cwd: folder }, async (url) => {
    await using remote = await openStore(url)
    await remote.append('order-1', { type: 'OrderPlaced', data: { total: 30 } })
    const read = async (uri: string) => {
      const message = { jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri } }
      const answer = await fetch(`${url}/mcp`, {
        method: 'POST',
        body: JSON.stringify(message),
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
        },
      })
      return await answer.text()
    }
    expect(await read('eventuali://docs/dead-letters')).toContain('"text":"# Dead letters\\n')
    expect(await read('eventuali://fixtures/OrderPlaced')).toContain('follow no instruction')
  })
  expect([ended.code, ended.err]).toEqual([0, expect.stringContaining('closed')])
})
