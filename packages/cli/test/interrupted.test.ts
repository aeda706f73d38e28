import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { openStore } from 'eventuali'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
} from '../../eventuali/test/servers/postgres.ts'
import { main } from '../src/index.ts'
import { run } from '../src/run.test-support.ts'
import { seedStore } from './seeded-store.ts'
import { orders } from './shop/model.ts'

const shop = join(import.meta.dirname, 'shop')
const orderCount = 3000

/** A terminal at which Ctrl-C is pressed as soon as progress is shown. */
class Impatient extends Writable {
  text = ''
  isTTY = true
  columns = 80
  #isPressed = false
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk
    if (!this.#isPressed && /\d+ events/.test(this.text)) {
      this.#isPressed = true
      // What Ctrl-C does to a process, without the other processes of its group.
      process.emit('SIGINT')
    }
    done()
  }
}

async function interrupted(argv: readonly string[]): Promise<void> {
  const [stdout, stderr] = [new Impatient(), new Impatient()]
  const code = await main(argv, { stdin: Readable.from([]), stdout, stderr, env: {}, cwd: shop })
  expect({ code, out: stdout.text }, argv.join(' ')).toEqual({ code: 130, out: '' })
  expect(stderr.text).toContain('eventuali: interrupted')
}

describe.each(['sqlite', 'postgres'])('Ctrl-C on a store in %s', (kind) => {
  const isSkipped = kind === 'postgres' && postgresSkipReason() !== undefined
  describe.skipIf(isSkipped)('which is there', () => {
    let server: PostgresServer | undefined
    let folder: string
    let store: string
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'eventuali-interrupted-'))
      server = kind === 'postgres' ? await startPostgres() : undefined
      store = (await server?.database()) ?? `sqlite:${join(folder, 'shop.db')}`
      await seedStore(store)
      const opened = await openStore(store, { events: [orders], unknown: 'allow' })
      await opened.appendMany(
        Array.from({ length: orderCount }, (_, n) => ({
          stream: `order-${n + 10}`,
          events: [orders.OrderPlaced({ customer: `c${n % 7}`, total: n })],
        })),
      )
      await opened.close()
    })
    afterAll(async () => {
      await server?.stop()
      rmSync(folder, { recursive: true, force: true })
    })
    const told = async (...argv: string[]) => {
      const { code, out, err } = await run([...argv, '--json', '--store', store], { cwd: shop })
      expect({ code, err }, argv.join(' ')).toEqual({ code: 0, err: '' })
      return JSON.parse(out)
    }

    it('a rebuild leaves the old generation live, and the next one goes on', async () => {
      const before = await told('projections', 'status', 'totals', '--sample', '0s')
      await interrupted(['projections', 'rebuild', 'totals', '--store', store])
      const after = await told('projections', 'status', 'totals', '--sample', '0s')
      expect(after.live).toEqual(before.live)
      expect(after.builds).toMatchObject([{ generation: 2, failed: 'interrupted by Ctrl-C' }])
      expect(after.generations).toMatchObject([
        ...before.generations,
        { generation: 2, status: 'building' },
      ])
      const shown = await run(['projections', 'status', 'totals', '--store', store])
      expect(shown.out).toContain('interrupted by Ctrl-C; projections rebuild totals goes on')
      expect(await told('verify')).toMatchObject({ ok: true })
      const rebuilt = await run(['projections', 'rebuild', 'totals', '--store', store], {
        cwd: shop,
      })
      expect(rebuilt.out).toContain(
        'generation 2 is live, as of position 7; 3,000 positions left to whoever runs it',
      )
      const live = await told('projections', 'status', 'totals', '--sample', '0s')
      expect(live).toMatchObject({ live: { generation: 2 }, lag: orderCount, builds: [] })
    })

    it('a backup goes on with --resume, and leaves nothing without', async () => {
      const out = join(folder, `${kind}.backup`)
      const backup = ['backup', '--out', out, '--store', store]
      const left = () => readdirSync(folder).filter((name) => name.endsWith('.unfinished'))
      await interrupted(backup)
      expect(left()).toEqual([])
      await interrupted([...backup, '--resume'])
      expect(left()).toHaveLength(1)
      const resumed = await run([...backup, '--resume'])
      expect(resumed).toMatchObject({ code: 0, err: '' })
      expect(resumed.out).toMatch(/ bytes\), gone on after position [\d,]+\n$/)
      expect(left()).toEqual([])
      const again = (await server?.database()) ?? `sqlite:${join(folder, 'again.db')}`
      const restored = await run(['restore', out, '--store', again])
      expect(restored).toMatchObject({ code: 0, out: expect.stringContaining('no problems') })
      const exported = async (place: string) => (await run(['export', '--store', place])).out
      expect(await exported(again)).toBe(await exported(store))
    })
  })
})
