import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from 'eventuali'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
} from '../../eventuali/test/servers/postgres.ts'
import { run as runMain } from '../src/run.test-support.ts'
import { runCli } from './run-cli.ts'
import { seedStore } from './seeded-store.ts'

const shopFolder = join(import.meta.dirname, 'shop')

/** What a benchmark that was killed leaves. */
async function leaveBehind(place: string, id: string): Promise<void> {
  const store = await openStore(place)
  await store.append(`EventualiBenchmark-${id}-read`, { type: 'BenchmarkRan', data: {} })
  await store.close()
  const file = /^sqlite:(.+)$/.exec(place)?.[1]
  if (file !== undefined) {
    for (const end of ['', '-wal']) writeFileSync(`${file}-benchmark-${id}${end}`, 'x')
    return
  }
  const client = new pg.Client(place)
  await client.connect()
  await client.query(`CREATE SCHEMA eventuali_benchmark_${id}`)
  await client.end()
}

const parse = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

describe.each(['sqlite', 'postgres'])('operating a store in %s', (kind) => {
  const isSkipped = kind === 'postgres' && postgresSkipReason() !== undefined
  describe.skipIf(isSkipped)('which is there', () => {
    let server: PostgresServer | undefined
    let folder: string
    let url: string
    const another = async (name: string): Promise<string> =>
      (await server?.database()) ?? `sqlite:${join(folder, `${name}.db`)}`
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'eventuali-operate-'))
      server = kind === 'postgres' ? await startPostgres() : undefined
      url = await another('shop')
      await seedStore(url)
    })
    afterAll(async () => {
      await server?.stop()
      rmSync(folder, { recursive: true, force: true })
    })
    const run = (...argv: string[]) => runMain([...argv, '--store', url])
    /** With the configuration of the shop. */
    const shop = (...argv: string[]) => runMain([...argv, '--store', url], { cwd: shopFolder })

    it('health tells how it is by its exit code, and leaves no event behind', async () => {
      const roomy = ['--free-min', '0', '--behind-max', '365d']
      const sick = await run('health', ...roomy)
      expect(sick).toMatchObject({ code: 1, err: '' })
      expect(sick.out).toMatch(/^dead-letters +degraded +2 wait: 2 of mailer; retry or/m)
      expect(sick.out).toMatch(/^processes +degraded +stuck: reminders\/3; resume,/m)
      expect(sick.out).toMatch(/\ndegraded\n$/)
      const report = await run('health', ...roomy, '--dead-letters-max', '2', '--json')
      const { checks, writeMs, positions, consumers, storage } = JSON.parse(report.out)
      const wrong = checks.filter((check: { status: string }) => check.status !== 'healthy')
      // The server of the tests does not flush: that is what durability has to say.
      const expected = kind === 'sqlite' ? ['processes'] : ['durability', 'processes']
      expect(wrong.map(({ name }: { name: string }) => name)).toEqual(expected)
      expect(writeMs).toBeGreaterThan(0)
      expect(positions).toEqual({ safe: 7, newest: 7 })
      expect(storage.bytes).toBeGreaterThan(10_000)
      expect(storage.connections?.max).toBe(kind === 'sqlite' ? undefined : 200)
      expect(consumers.map(({ name }: { name: string }) => name)).toEqual(
        expect.arrayContaining(['mailer', 'process:reminders', 'projection:totals/g1']),
      )
      const { out } = await run('query', '--json')
      expect(parse(out)).toHaveLength(7)
      const readOnly = JSON.parse((await run('health', '--no-write', '--json')).out)
      expect(readOnly.checks.map(({ name }: { name: string }) => name)).not.toContain('write')
    })

    it('health ends with 2 where the store cannot be opened', async () => {
      const away = kind === 'sqlite' ? 'sqlite:nothing.db' : 'postgres://127.0.0.1:1/none'
      const { code, out } = await runMain(['health', '--store', away, '--json'])
      expect(code).toBe(2)
      expect(JSON.parse(out)).toMatchObject({ status: 'failed', checks: [{ status: 'failed' }] })
      expect(await run('health', '--lag-max', '-1')).toMatchObject({ code: 2, out: '' })
    })

    it('subscriptions are listed with their lag, shown, paused and resumed', async () => {
      const listed = await run('subscriptions', 'list', '--sample', '20ms', '--json')
      const mailer = parse(listed.out).find(({ name }) => name === 'mailer')
      expect(mailer).toMatchObject({ lag: 0, behindMs: 0, owned: 0, ratePerSecond: 0, etaMs: 0 })
      const table = await run('subscriptions', '--sample', '0s')
      expect(table.out).toMatch(/^NAME +STATE +POSITION +LAG +BEHIND +RATE +ETA +OWNED$/m)
      expect(table.out).toMatch(/^mailer +idle +7 +0 +0 ms +0\/1$/m)
      const paused = await run('subscriptions', 'pause', 'mailer', '--reason', 'it moves')
      expect(paused).toMatchObject({ code: 0, err: '' })
      const shown = await run('subscriptions', 'status', 'mailer', '--sample', '0s')
      expect(shown.out).toContain('mailer: paused (subscription, order by stream)\n')
      expect(shown.out).toContain('paused: it moves\n')
      expect((await run('subscriptions', 'resume', 'mailer')).out).toBe('mailer goes on\n')
      const after = await run('subscriptions', 'status', 'mailer', '--sample', '0s', '--json')
      expect(JSON.parse(after.out).paused).toBeUndefined()
      const unknown = await run('subscriptions', 'pause', 'nobody')
      expect(unknown.code).toBe(1)
      expect(unknown.err).toContain('there is no subscription nobody; there are mailer')
    })

    it('dead letters are grouped by cause, shown, retried and discarded', async () => {
      const groups = parse((await run('deadletters', 'list', '--json')).out)
      expect(groups).toMatchObject([
        { subscription: 'mailer', count: 2, cause: 'RangeError: the carrier does not answer' },
      ])
      const letters = parse((await run('deadletters', 'list', '--each', '--json')).out)
      expect(letters.map(({ stream }) => stream).sort()).toEqual(['order-1', 'order-3'])
      const [first, second] = letters
      const shown = await run('deadletters', 'show', first.id)
      expect(shown.out).toMatch(/^attempts +2$/m)
      expect(shown.out).toContain('"carrier": "')
      expect(shown.out).toMatch(/^ {2}at .*seeded-store\.ts/m)
      const json = JSON.parse((await run('deadletters', 'show', first.id, '--json')).out)
      expect(json).toMatchObject({ id: first.id, event: { type: 'OrderShipped' } })
      const retried = await run('deadletters', 'retry', first.id)
      expect(retried.out).toMatch(/^1 letter to be handled again/)
      const again = ['deadletters', 'list', '--each', '--state', 'requested', '--json']
      expect(parse((await run(...again)).out).map(({ id }) => id)).toEqual([first.id])
      const discard = ['deadletters', 'discard', second.id, '--reason', 'sent by hand']
      expect(await run(...discard)).toMatchObject({ code: 1, out: '' })
      expect((await run(...discard, '--yes')).out).toBe('1 letter discarded: sent by hand\n')
      const gone = await run('deadletters', 'show', second.id)
      expect(gone.out).toMatch(/^state +discarded: sent by hand$/m)
      expect((await run('deadletters', 'retry')).code).toBe(2)
      expect((await run('deadletters', 'retry', 'nothing')).err).toContain(
        'there is no dead letter',
      )
      expect((await run('deadletters', 'discard', second.id, '--reason', ' ')).code).toBe(2)
      const empty = await run('deadletters', 'retry', '--subscription', 'mailer')
      expect(empty.out).toBe('nothing is parked\n')
      const twice = await run(...discard, '--yes')
      expect(twice).toMatchObject({ code: 1, err: expect.stringContaining('not parked') })
    })

    it('dead letters of a subscription or key are given up at once, and pruned', async () => {
      const place = await another('letters')
      await seedStore(place)
      const letters = (...argv: string[]) => runMain(['deadletters', ...argv, '--store', place])
      const all = ['--subscription', 'mailer', '--reason', 'sent by hand']
      const unasked = await letters('discard', ...all)
      expect(unasked).toMatchObject({ code: 1, out: '' })
      expect(unasked.err).toContain('all dead letters of mailer that are parked')
      const one = await letters('discard', ...all, '--key', 'order-1', '--yes', '--json')
      expect(JSON.parse(one.out)).toEqual({ discarded: 1, reason: 'sent by hand' })
      expect(parse((await letters('--each', '--json')).out)).toMatchObject([{ key: 'order-3' }])
      const rest = await letters('discard', ...all, '--yes')
      expect(rest.out).toBe('1 letter discarded: sent by hand\n')
      expect((await letters('discard', ...all, '--yes')).out).toBe('nothing is parked\n')

      const old = await letters('prune', '--older-than', '30d', '--yes')
      expect(old.out).toBe('no dead letter was finished more than 30 d ago\n')
      expect((await letters('prune', '--older-than', '0s')).code).toBe(1)
      const whose = ['prune', '--older-than', '0s', '--subscription']
      expect(JSON.parse((await letters(...whose, 'mailer', '--yes', '--json')).out)).toEqual({
        pruned: 2,
      })
      expect((await letters('list', '--state', 'any', '--json')).out).toBe('')
      expect((await letters(...whose, 'nobody', '--yes')).err).toContain('there is no subscription')

      for (const wrong of [
        ['discard', '--reason', 'x', '--yes'],
        ['discard', 'some', ...all, '--yes'],
        ['discard', 'some', '--key', 'order-1', '--reason', 'x', '--yes'],
        ['retry', '--key', 'order-1'],
        ['prune', '--yes'],
        ['prune', '--older-than', 'long', '--yes'],
      ]) {
        expect(await letters(...wrong), wrong.join(' ')).toMatchObject({ code: 2, out: '' })
      }
      for (const command of ['retry', 'discard']) {
        const unknown = ['--subscription', 'nobody', '--yes', '--reason', 'x']
        const flags = command === 'retry' ? unknown.slice(0, 2) : unknown
        expect((await letters(command, ...flags)).err).toContain('no subscription nobody')
      }
    })

    it('what changes something answers programs in one line of JSON', async () => {
      for (const [argv, answer] of [
        ['subscriptions pause mailer', { subscription: 'mailer', paused: true }],
        ['subscriptions resume mailer', { subscription: 'mailer', paused: false, stopped: 0 }],
        ['projections pause totals', { projection: 'totals', paused: true }],
        ['projections resume totals', { projection: 'totals', paused: false }],
        ['snapshots prune --all --yes', { dropped: 0 }],
        // They have been remembered when the store was opened with them.
        ['schema register', { registered: 0 }],
      ] as const) {
        const { code, out, err } = await shop(...argv.split(' '), '--json')
        expect({ code, err }, argv).toEqual({ code: 0, err: '' })
        expect(parse(out), argv).toEqual([answer])
      }
    })

    it('deadlines are listed by when they fall due, and schedules cancelled', async () => {
      const listed = parse((await run('deadlines', '--json')).out)
      expect(listed[0]).toMatchObject({ name: 'close-the-day', timeZone: 'Europe/Berlin' })
      const [one, ...more] = listed.filter(({ process }) => process === 'reminders')
      expect(one).toMatchObject({ name: 'remind', process: 'reminders' })
      expect(more).toHaveLength(1)
      const table = await run('deadlines', 'list', '--process', 'reminders')
      expect(table.out.trim().split('\n')).toHaveLength(3)
      expect((await run('deadlines', 'cancel', 'close-the-day')).code).toBe(1)
      const cancelled = await run('deadlines', 'cancel', 'close-the-day', '--yes')
      expect(cancelled.out).toBe('close-the-day is cancelled\n')
      const again = await run('deadlines', 'cancel', 'close-the-day', '--yes')
      expect(again.err).toContain('there is no schedule close-the-day')
    })

    it('query and tail leave out what does not meet the conditions', async () => {
      const query = async (...argv: string[]) =>
        parse((await run('query', '--json', ...argv)).out).map(({ position }) => position)
      expect(await query('--where', 'data.total>=30')).toEqual([1, 2])
      expect(await query('--where', 'data.total>=30', '--where', 'data.customer!=ada')).toEqual([2])
      expect(await query('--where', 'metadata.actor=ada', '--reverse', '--limit', '1')).toEqual([7])
      expect(await query('--stream', 'order-1', '--where', '!data.amount')).toEqual([1, 4])
      expect(await run('query', '--where', 'total>=30')).toMatchObject({ code: 2, out: '' })
      const tail = await run('tail', '-n', '2', '--where', 'data.carrier')
      expect(
        tail.out
          .trim()
          .split('\n')
          .map((line) => line.trim().split(/\s+/)[0]),
      ).toEqual([...['4', '7']])
      const stream = await run('tail', '--stream', 'order-2', '--json')
      expect(parse(stream.out).map(({ position }) => position)).toEqual([2, 5])
    })

    it('aggregate shows a state now and then, what changed, and by which events', async () => {
      const shown = await shop('aggregate', 'show', 'order-1')
      expect(shown).toMatchObject({ code: 0, err: '' })
      expect(shown.out).toMatch(/^order-1, version 3\n\{\n {2}"status": "shipped",/)
      const at = async (point: string) =>
        JSON.parse((await shop('aggregate', 'show', 'order-1', '--at', point, '--json')).out)
      expect(await at('2')).toMatchObject({ version: 2, state: { status: 'placed', paid: 30 } })
      expect(await at('@2')).toMatchObject({ version: 1, state: { paid: 0 } })
      expect(await at('2026-01-05T09:02:00Z')).toMatchObject({ version: 2 })
      const diff = await shop('aggregate', 'diff', 'order-1', '--from', '1', '--to', '3')
      expect(diff.out).toMatch(/^\/paid +changed +0 +30$/m)
      expect(diff.out).toMatch(/^\/carrier +added +"DHL"$/m)
      const none = await shop('aggregate', 'diff', 'order-1', '--from', '3')
      expect(none.out).toBe('order-1, version 3 to 3\nno difference\n')
      const history = await shop('aggregate', 'history', 'order-1', '/paid', '--json')
      expect(parse(history.out)).toMatchObject([
        { before: 0, after: 30, event: { version: 2, metadata: { actor: 'ada' } } },
      ])
      expect((await shop('aggregate', 'show', 'order-9')).err).toContain('no stream order-9')
      const other = await shop('aggregate', 'show', 'cart-1')
      expect(other.err).toMatch(/no aggregate cart is configured \(there is order\); add it to/)
      expect((await shop('aggregate', 'show', 'order')).code).toBe(1)
      const wrong = await shop('aggregate', 'history', 'order-1', 'paid')
      expect(wrong).toMatchObject({ code: 1, out: '' })
      const missing = await run('aggregate', 'show', 'order-1', '--no-config')
      expect(missing.err).toContain('no eventuali.config.ts was found; give --config FILE')
    })

    it('projections are listed, rebuilt, compared, switched, rolled back, paused', async () => {
      const quick = ['--sample', '0s']
      const listed = parse((await shop('projections', 'list', ...quick, '--json')).out)
      expect(listed).toMatchObject([{ name: 'totals', version: 1, state: 'idle', lag: 0 }])
      const raw = parse((await run('projections', 'list', ...quick, '--json', '--no-config')).out)
      expect(raw).toMatchObject([{ name: 'totals', live: { generation: 1 }, state: 'idle' }])
      const rebuilt = await shop('projections', 'rebuild', 'totals', '--require-equal')
      expect(rebuilt.out).toBe(
        'totals: generation 2 is live, as of position 7\n' +
          'generation 1 (v1) and 2 (v1) at position 7: equal, 3 rows\n',
      )
      const compared = await shop('projections', 'compare', 'totals', '--json')
      expect(JSON.parse(compared.out)).toMatchObject({ equal: true, same: 3 })
      const rolled = await shop('projections', 'rollback', 'totals')
      expect(rolled).toMatchObject({ code: 0, out: 'totals: generation 1 is live again\n' })
      const switched = await shop('projections', 'switch', 'totals', '2')
      expect(switched.out).toBe('totals: generation 2 is live\n')
      expect((await shop('projections', 'switch', 'totals', '9')).code).toBe(1)
      expect((await shop('projections', 'switch', 'totals', 'two')).code).toBe(2)
      await shop('projections', 'pause', 'totals')
      const status = await shop('projections', 'status', 'totals', ...quick)
      expect(status.out).toMatch(/^totals: paused, defined as v1, live 2 \(v1\)\n/)
      expect(status.out).toMatch(/^ +1 +1 +async +standby +\S*totals\S*$/m)
      expect((await shop('projections', 'resume', 'totals')).out).toBe('totals goes on\n')
      const unknown = await shop('projections', 'rebuild', 'nothing')
      expect(unknown.err).toContain('no projection nothing is configured (there is totals)')
      expect((await shop('projections', 'status', 'nothing', ...quick)).code).toBe(1)
    })

    it('processes are listed and shown, resumed and cancelled', async () => {
      const stuck = parse((await run('processes', 'list', '--status', 'stuck', '--json')).out)
      expect(stuck).toMatchObject([
        { name: 'reminders', key: '3', reason: 'no such customer', holdsEvents: true },
      ])
      const table = await run('processes', 'list', 'reminders')
      expect(table.out.trim().split('\n')).toHaveLength(4)
      const shown = await run('processes', 'show', 'reminders', '3')
      expect(shown.out).toMatch(/^reminders 3: stuck, version 1$/m)
      expect(shown.out).toMatch(/^stuck on +\{"kind":"event","position":6\}/m)
      const json = JSON.parse((await run('processes', 'show', 'reminders', '1', '--json')).out)
      expect(json).toMatchObject({ status: 'running', schedules: [{ name: 'remind' }] })
      expect((await run('processes', 'show', 'reminders', '9')).err).toContain('no process 9')
      expect((await run('processes', 'show', 'nothing', '9')).err).toContain('there is reminders')
      const resumed = await shop('processes', 'resume', 'reminders', '3')
      expect(resumed).toMatchObject({ code: 0, out: 'reminders 3 goes on\n' })
      const again = await shop('processes', 'resume', 'reminders', '3')
      expect(again.code).toBe(1)
      const cancel = ['processes', 'cancel', 'reminders', '2', '--reason', 'ordered twice']
      expect(await shop(...cancel)).toMatchObject({ code: 1, out: '' })
      expect((await shop(...cancel, '--yes')).out).toBe('reminders 2 is cancelled\n')
      const gone = parse((await run('processes', 'list', '--status', 'cancelled', '--json')).out)
      expect(gone).toMatchObject([{ key: '2', reason: 'ordered twice', deadlines: [] }])
      const without = await run('processes', 'skip', 'reminders', '3', '--yes', '--no-config')
      expect(without.err).toContain('no process reminders is configured')
    })

    it('replay hands over to another store, resumably, or to a projection in memory', async () => {
      const copy = await another('copy')
      const into = ['replay', '--into', copy, '--resume', 'copy', '--json']
      const first = await shop(...into, '--to', '4')
      expect(JSON.parse(first.out)).toMatchObject({ events: 4, position: 4 })
      expect(JSON.parse((await shop(...into)).out)).toMatchObject({ events: 3, position: 7 })
      const both = await Promise.all(
        [url, copy].map((store) => runMain(['query', '--json', '--store', store])),
      )
      const [source, target] = both.map(({ out }) =>
        parse(out).map(({ id, version }) => [id, version]),
      )
      expect(target).toEqual(source)
      const shown = await shop('replay', '--projection', 'totals', '--to', '2', '--show', 'totals')
      expect(parse(shown.out)).toEqual([
        { key: 'ada', document: { orders: 1, total: 30 } },
        { key: 'bob', document: { orders: 1, total: 120 } },
      ])
      expect(shown.err).toMatch(/^2 events up to position 2 in /)
      const dry = await shop('replay', '--dry-run', '--stream', 'order-1', '--from', '2')
      expect(dry.out).toMatch(/^2 events .*\n {2}1 OrderPaid\n {2}1 OrderShipped\n$/)
      expect((await shop('replay')).err).toContain('where to?')
      expect((await shop('replay', '--into', url)).err).toContain('is the store itself')
      const wrong = await shop('replay', '--projection', 'totals', '--show', 'sums')
      expect(wrong.err).toContain('totals has no collection sums; it has totals')
    })

    it('snapshots are kept, listed, verified and pruned', async () => {
      const made = await shop('snapshots', 'create', 'order-1', 'order-2')
      expect(made.out).toMatch(/^order-1, version 3: kept, \d+ characters\norder-2, version 2: /)
      const listed = parse((await shop('snapshots', 'list', '--json')).out)
      expect(listed.map(({ stream, version }) => [stream, version])).toEqual([
        ['order-1', 3],
        ['order-2', 2],
      ])
      const one = await shop('snapshots', 'list', 'order-2')
      expect(one.out.trim().split('\n')).toHaveLength(2)
      expect((await shop('snapshots', 'verify')).out).toBe('order: 2 right, 0 wrong\n')
      expect((await shop('snapshots', 'create', 'order-9')).err).toContain('nothing is kept')
      expect(await shop('snapshots', 'prune', '--all')).toMatchObject({ code: 1, out: '' })
      const name = kind === 'sqlite' ? 'shop.db' : new URL(url).pathname.slice(1)
      const typed = await runMain(['snapshots', 'prune', 'order-1', '--store', url], {
        ...{ cwd: shopFolder, typed: true, stdin: `${name}\n` },
      })
      expect(typed).toMatchObject({ code: 0, out: '1 snapshot dropped\n' })
      expect((await shop('snapshots', 'prune', '--all', '--yes')).out).toBe('1 snapshot dropped\n')
      expect((await shop('snapshots', 'prune')).code).toBe(2)
      expect((await shop('snapshots', 'list', '--json')).out).toBe('')
    })

    it('tail -f goes on with what other programs append, until a real Ctrl-C', async () => {
      const argv = ['tail', '-f', '-n', '1', '--json', '--store', url]
      const ended = await runCli(argv, {
        during: (child) => {
          let seen = ''
          child.stdout?.on('data', (chunk) => {
            const was = seen
            seen += chunk
            if (was === '') void run('append', 'visit-1', 'Visited', '{"n":1}')
            if (seen.includes('Visited')) child.kill('SIGINT')
          })
        },
      })
      expect(ended).toMatchObject({ code: 0, err: '' })
      expect(
        parse(ended.out)
          .map(({ type }) => type)
          .at(-1),
      ).toBe('Visited')
    })

    it('monitor shows one look, as a table and as JSON', async () => {
      const once = await run('monitor', '--once', '--interval', '50ms')
      expect(once).toMatchObject({ code: 0, err: '' })
      expect(once.out).toMatch(/^log +position 8$/m)
      expect(once.out).toMatch(/^appends +0\/s/m)
      expect(once.out).toMatch(/^mailer +idle +1 +\S+ \S+ +0\/s$/m)
      const json = JSON.parse((await run('monitor', '--once', '--interval', '50ms', '--json')).out)
      expect(json).toMatchObject({ adapter: kind, positions: { newest: 8 }, positionsPerSecond: 0 })
      expect(json.read.count).toBe(2)
      expect(json.program.residentBytes).toBeGreaterThan(1_000_000)
      expect(await run('monitor')).toMatchObject({ code: 2, out: '' })
    })

    it('benchmark measures in a new store, and cleans up after itself', async () => {
      const place = await another('bench')
      const bench = (...argv: string[]) => runMain(['benchmark', ...argv, '--store', place])
      const ran = await bench('--time', '40ms', '--callers', '4', '--json')
      expect(ran).toMatchObject({ code: 0 })
      const results = parse(ran.out)
      expect(results.map(({ workload }) => workload)).toEqual([
        ...['append, one caller', 'append, 4 callers', 'append, 100 events at once'],
        ...['read a stream of 50', 'read the log, 1,000 events'],
      ])
      for (const { eventsPerSecond, latency } of results) {
        expect(eventsPerSecond).toBeGreaterThan(0)
        expect(latency.p50Ms).toBeLessThanOrEqual(latency.maxMs)
      }
      expect(results.filter(({ ratio }) => ratio > 0)).toHaveLength(3)
      const each = [1, 1, 100, 50]
      for (const [i, { events, operations, latency }] of results.slice(0, 4).entries()) {
        expect(events).toBe((each[i] ?? 0) * operations)
        expect(latency.count).toBe(operations)
      }
      expect(ran.err).toMatch(/streams removed again; [\d,]+ positions of the log are used now\n/)
      const left = await runMain(['streams', '--json', '--store', place])
      expect(parse(left.out).filter(({ state }) => state !== 'deleted')).toEqual([])
      expect(readdirSync(folder).filter((name) => name.includes('benchmark'))).toEqual([])
      const again = await bench('--time', '1ms')
      expect(again).toMatchObject({ code: 1, out: '' })
      expect(again.err).toContain('has events up to position')
      const id = 'ab'.repeat(16)
      await leaveBehind(place, id)
      const clean = await bench('--clean', '--yes')
      const beside = kind === 'sqlite' ? 'file' : 'schema'
      expect(clean).toMatchObject({ code: 0, out: `1 stream and 1 ${beside} removed\n` })
      expect(readdirSync(folder).filter((name) => name.includes(id))).toEqual([])
      const store = await openStore(place)
      expect((await store.verify()).ok).toBe(true)
      await store.close()
    })
  })
})
