import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
} from '../../eventuali/test/servers/postgres.ts'
import { run as runMain } from '../src/run.test-support.ts'
import { runCli } from './run-cli.ts'
import { seedStore } from './seeded-store.ts'

const shop = join(import.meta.dirname, 'shop')

// The commands about storage, schemas and other programs; operate.test.ts has the others.
describe.each(['sqlite', 'postgres'])('a store in %s', (kind) => {
  const isSkipped = kind === 'postgres' && postgresSkipReason() !== undefined
  describe.skipIf(isSkipped)('which is there', () => {
    let server: PostgresServer | undefined
    let folder: string
    let url: string
    const another = async (name: string): Promise<string> =>
      (await server?.database()) ?? `sqlite:${join(folder, `${name}.db`)}`
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'eventuali-either-'))
      server = kind === 'postgres' ? await startPostgres() : undefined
      url = await another('shop')
      await seedStore(url)
    })
    afterAll(async () => {
      await server?.stop()
      rmSync(folder, { recursive: true, force: true })
    })
    const run = async (...argv: string[]): Promise<string> => {
      const store = argv.includes('--store') ? [] : ['--store', url]
      const { code, out, err } = await runMain([...argv, ...store], { cwd: shop })
      expect({ code, err }, argv.join(' ')).toEqual({ code: 0, err: '' })
      return out
    }
    const told = async (...argv: string[]) => JSON.parse(await run(...argv, '--json'))

    it('is forked as it was', async () => {
      const into = kind === 'postgres' ? 'early' : join(folder, 'early.db')
      expect(await told('fork', '--into', into, '--at', '3')).toMatchObject({ events: 3 })
      const early = kind === 'postgres' ? `${url}?schema=early` : `sqlite:${into}`
      expect((await run('export', '--store', early)).trim().split('\n')).toHaveLength(3)
    })

    it('is stored in another way, and read the same', async () => {
      const before = await run('export')
      expect(await told('recode', '--to', 'msgpack')).toMatchObject({ events: 7, changed: 7 })
      expect(await run('export')).toBe(before)
      expect(await told('recode', '--to', 'json')).toMatchObject({ changed: 7 })
      await run('tune', '--json')
      expect(await told('verify')).toMatchObject({ ok: true, events: 7 })
    })

    it('is copied and changed on the way', async () => {
      const to = await another('moved')
      const change = ['migrate-events', '--to', to, '--rename', 'OrderPaid=PaymentReceived']
      expect(await told(...change)).toMatchObject({ read: 7, written: 7 })
      expect(await told(...change, '--verify')).toMatchObject({ ok: true })
      const paid = await run('query', '--type', 'PaymentReceived', '--json', '--store', to)
      expect(paid.trim().split('\n')).toHaveLength(2)
    })

    it('remembers schemas, and says what a branch would fail to read', async () => {
      const at = (version: number) => ['--events', join(shop, `orders-v${version}.ts`)]
      expect(await told('schema', 'register', ...at(1))).toEqual({ registered: 3 })
      const lines = (await run('schema', 'list', '--json')).trim().split('\n')
      expect(lines.map((line) => JSON.parse(line).count)).toEqual([2, 3, 2])
      expect(await told('schema', 'show', 'OrderPaid')).toMatchObject({ first: 3, last: 5 })
      expect(await told('schema', 'diff', 'OrderShipped', ...at(2))).toMatchObject({
        state: 'changed',
      })
      expect(await told('schema', 'check', ...at(1))).toMatchObject({ ok: true, events: 7 })
      const broken = await runMain(['schema', 'check', ...at(2), '--json', '--store', url])
      expect(broken.code).toBe(1)
      expect(JSON.parse(broken.out)).toMatchObject({ ok: false })
      expect(await told('schema', 'history', 'OrderPaid')).toMatchObject({ version: 1 })
    })

    it('goes out as an event log, and in again', async () => {
      const out = join(folder, `${kind}.xes`)
      await runMain(['export', '--format', 'xes', '--out', out, '--store', url])
      expect(readFileSync(out, 'utf8')).toContain('<string key="concept:name" value="OrderPaid"/>')
      const into = await another('log')
      expect(await told('import', out, '--store', into)).toMatchObject({ events: 7, streams: 3 })
    })

    it('is looked at by doctor, models and over HTTP', async () => {
      const checks = await runMain(['doctor', '--json', '--store', url], { cwd: shop })
      expect(JSON.parse(checks.out).checks.length).toBeGreaterThan(8)
      const params = { name: 'read_stream', arguments: { stream: 'order-1' } }
      const asked = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params })
      const answer = await runMain(['mcp', '--store', url], { cwd: shop, stdin: `${asked}\n` })
      expect(answer).toMatchObject({ code: 0, out: expect.stringContaining('OrderShipped') })
      const status = Promise.withResolvers<number>()
      const ended = await runCli(['serve', '--port', '0', '--json', '--store', url], {
        cwd: shop,
        during: (child) => {
          child.stdout?.once('data', async (line) => {
            const { url: at } = JSON.parse(String(line))
            const found = fetch(`${at}/v1/streams/order-1`).then((response) => response.status)
            await found.then(status.resolve, status.reject)
            child.kill('SIGINT')
          })
        },
      })
      expect([await status.promise, ended.code]).toEqual([200, 0])
    })
  })
})
