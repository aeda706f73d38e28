import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { overStore } from '../../ports/index.ts'
import { openStore } from '../open.ts'
import type { Store } from '../store.ts'
import { checkHealth, consumerLag, type HealthReport } from './index.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-health-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const roomy = { freeBytesMin: 0 }
const of = (report: HealthReport, name: string) => report.checks.find((one) => one.name === name)

async function filled(url: string): Promise<Store> {
  const store = await openStore(url)
  for (let n = 0; n < 5; n++) await store.append('order-1', { type: 'Placed', data: { n } })
  return store
}

describe.each(['memory:', 'sqlite'])('the health of a store in %s', (kind) => {
  const open = (name: string) =>
    filled(kind === 'sqlite' ? `sqlite:${join(folder, `${name}.db`)}` : kind)

  it('is good while nothing is wrong, and the look leaves nothing behind', async () => {
    await using store = await open('well')
    const report = await checkHealth(store, { thresholds: roomy })
    expect(report.checks.filter(({ status }) => status !== 'healthy')).toEqual([])
    expect(report).toMatchObject({ status: 'healthy', positions: { safe: 5, newest: 5 } })
    expect(report.readMs).toBeGreaterThanOrEqual(0)
    expect(report.writeMs).toBeGreaterThanOrEqual(0)
    expect(await store.positions()).toMatchObject({ newest: 5 })
    expect(await store.port.records.list({ kind: 'health', limit: 10 })).toEqual([])
    expect(of(report, 'migrations')?.message).toBe(
      kind === 'sqlite' ? 'schema 3, up to date' : undefined,
    )
  })

  it('tells of what follows the log from behind, and what nobody handles', async () => {
    await using store = await open('behind')
    const handle = () => Promise.reject(new RangeError('cannot cope'))
    const retry = { retryCountMax: 0 }
    const subscription = store.subscribe({ name: 'mailer', onPoison: 'park', retry }, handle)
    await expect.poll(async () => (await store.deadLetters.list()).length).toBe(5)
    await subscription.stop()
    await store.append('order-2', { type: 'Placed', data: {} })
    const [lag] = await consumerLag(store)
    expect(lag).toMatchObject({
      name: 'mailer',
      kind: 'subscription',
      lag: 1,
      owned: 0,
      live: true,
    })
    const sick = await checkHealth(store, { thresholds: { ...roomy, lagMax: 0 } })
    expect(sick.status).toBe('degraded')
    expect(of(sick, 'consumers')?.message).toMatch(
      /mailer is 1 position and \d+ s behind: no program runs it/,
    )
    expect(of(sick, 'dead-letters')?.message).toBe('5 wait: 5 of mailer; retry or discard them')
    expect(sick.deadLetters).toEqual({ mailer: 5 })
    const borne = { ...roomy, deadLettersMax: 5 }
    expect((await checkHealth(store, { thresholds: borne })).status).toBe('healthy')
    await store.subscriptions.pause('mailer', { reason: 'the mail server moves' })
    const paused = await checkHealth(store, { thresholds: { ...borne, lagMax: 0 } })
    expect(of(paused, 'consumers')?.message).toContain('the mail server moves')
    expect((await store.deadLetters.list())[0]?.error?.stack).toContain('health.test.ts')
  })

  it('does not throw what a part of the store throws', async () => {
    await using store = await open('broken')
    const broken = overStore(store.port, {
      transaction: () => Promise.reject(new Error('the disk is gone')),
    })
    await using seen = await openStore(overStore(broken, { close: async () => {} }))
    const report = await checkHealth(seen, { thresholds: roomy })
    expect(report).toMatchObject({ status: 'failed', writeMs: undefined })
    expect(of(report, 'write')).toMatchObject({ status: 'failed', message: 'the disk is gone' })
    expect((await checkHealth(seen, { thresholds: roomy, write: false })).status).toBe('healthy')
    const positions = () => Promise.reject(new Error('nobody answers'))
    await using silent = await openStore(overStore(broken, { positions, close: async () => {} }))
    const { status, checks } = await checkHealth(silent)
    expect({ status, names: checks.map(({ name }) => name) }).toEqual({
      ...{ status: 'failed', names: ['read'] },
    })
  })
})

it('tells of room that is running out, weak settings and old schemas', async () => {
  await using store = await filled(`sqlite:${join(folder, 'weak.db')}`)
  const state = { schemaVersion: 2, schemaVersionNewest: 3, bytes: 5000, connections: undefined }
  const freeBytes = 1_000_000
  const weak = overStore(store.port, {
    storage: async () => ({ ...state, freeBytes }),
    settings: async () => ({ journal_mode: 'delete', synchronous: 'NORMAL' }),
    close: async () => {},
  })
  await using seen = await openStore(weak)
  const report = await checkHealth(seen, { thresholds: { freeBytesMin: 2_000_000 } })
  expect(report.status).toBe('degraded')
  expect(of(report, 'disk')?.message).toContain('976.6 KiB are left, less than 1.9 MiB')
  expect(of(report, 'durability')?.message).toContain(
    'journal_mode is delete, not wal, synchronous is NORMAL, not FULL: a power cut',
  )
  expect(of(report, 'migrations')?.status).toBe('degraded')
  const failed = await checkHealth(seen, { thresholds: { freeBytesMin: 100_000_000 } })
  expect(of(failed, 'disk')?.status).toBe('failed')
})

it('tells of what has its place in another log', async () => {
  const file = join(folder, 'origin.db')
  await using store = await filled(`sqlite:${file}`)
  const subscription = store.subscribe({ name: 'mailer' }, () => {})
  await expect
    .poll(async () => (await store.subscriptions.status('mailer'))?.position)
    .toBeGreaterThanOrEqual(5)
  await subscription.stop()
  expect((await store.subscriptions.status('mailer'))?.isForeign).toBe(false)
  const restored = overStore(store.port, { incarnation: 'another', close: async () => {} })
  await using seen = await openStore(restored)
  const report = await checkHealth(seen, { thresholds: roomy })
  expect(of(report, 'consumers')?.message).toBe(
    'mailer has its place in another log; reset it, or rebuild it',
  )
})

it('refuses thresholds that are none', async () => {
  await using store = await openStore('memory:')
  const wrong = { thresholds: { lagMax: -1 } }
  await expect(checkHealth(store, wrong)).rejects.toThrow('thresholds.lagMax')
  const unknown = { thresholds: { lags: 1 } as never }
  await expect(checkHealth(store, unknown)).rejects.toThrow('thresholds.lags')
  const signal = AbortSignal.abort(new Error('enough'))
  await expect(checkHealth(store, { signal })).rejects.toThrow('enough')
})
