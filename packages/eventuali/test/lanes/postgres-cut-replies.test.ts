import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { type Campaign, campaign, percentile } from '../harness/campaign.ts'
import { FaultyProxy } from '../servers/faulty-proxy.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

describe.skipIf(postgresSkipReason() !== undefined)('a reply that is cut off', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server?.stop())

  /** Cuts the reply to each append and appends again; a planted bug gives the event a new id. */
  const retry = async (run: Campaign, count: number, mutant?: 'new-id'): Promise<string[]> => {
    const url = await server.database()
    const proxy = await FaultyProxy.open(server.port)
    const store = await openStore(proxy.through(url))
    const wrong: string[] = []
    const tookMs: number[] = []
    let unknown = 0
    for (let n = 0; n < count; n++) {
      const event = { type: 'Once', data: n, id: `id-${run.seed}-${n}` }
      const stream = `once-${n % 10}`
      // Now and then the server stays away until the caller has given up.
      const away = n % 50 === 0
      const { cutCount } = proxy
      // By the id: a listener that reconnects, or a look at the head, is not what is meant.
      proxy.cutReplyTo(event.id)
      const startedAt = performance.now()
      let over = false
      const first = store.append(stream, event, { timeoutMs: away ? 500 : 10_000 })
      const settled = first
        .then(({ version }) => version)
        .catch(() => undefined)
        .finally(() => {
          over = true
        })
      if (away) {
        while (proxy.cutCount === cutCount && !over) await sleep(1)
        proxy.refuse(true)
      }
      const version = await settled
      tookMs.push(performance.now() - startedAt)
      proxy.refuse(false)
      if (proxy.cutCount === cutCount) wrong.push(`${n}: the reply was not cut`)
      if (version === undefined) unknown++
      const retried = mutant === undefined ? event : { ...event, id: `${event.id}-again` }
      const again = await store.append(stream, retried)
      if (version !== undefined && again.version !== version) wrong.push(`${n}: another version`)
      if (version !== undefined && again.duplicate !== true) wrong.push(`${n}: stored again`)
      const third = await store.append(stream, retried)
      if (third.version !== again.version) wrong.push(`${n}: version ${third.version} at last`)
    }
    const log = await store.readAll({ upTo: 'newest' }).toArray()
    if (new Set(log.map(({ data }) => data)).size !== log.length) wrong.push('doubled events')
    await store.close()
    await proxy.close()
    run.note(
      `${count} cut replies, ${unknown} unknown to the caller, p99 ${percentile(tookMs, 0.99).toFixed()} ms`,
    )
    if (log.length !== count) wrong.push(`${log.length} events after ${count} appends`)
    expect(unknown).toBeGreaterThan(0)
    return wrong
  }

  test('and the same event id again are one event with one version', async () => {
    await campaign('R7 retries with the same id', async (run) => {
      expect(await retry(run, run.scaled(500))).toEqual([])
    })
  })

  test('and a retry under another id are found to be two', async () => {
    await campaign('R7 planted: another id for the retry', async (run) => {
      const wrong = await retry(run, 20, 'new-id')
      run.note(`${wrong.length} found: ${wrong[0]}`)
      expect(wrong.join()).toContain('stored again')
      expect(wrong.join()).toContain('doubled events')
    })
  })
})
