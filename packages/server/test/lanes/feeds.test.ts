import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openStore, type Store } from 'eventuali'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Campaign, campaign, percentile } from '../../../eventuali/test/harness/campaign.ts'
import { type Child, endChildren, startChild } from '../../../eventuali/test/harness/child.ts'
import { type FeedClient, openFeeds, openStalled, resumeFeed } from './feed-client.ts'
import type { FeedBug } from './feeds-planted.ts'
import type { FeedsInput, FeedsMemory } from './feeds-program.ts'

const MIB = 1024 * 1024
const STALLED = 10
const GROWTH_MAX_MIB = 64
/** Below this a delay says more of busy cores than of the server. */
const DELAY_MS = 500
/** What the server may hold for one feed that takes nothing. */
const HELD_MAX_MIB = 1
interface Size {
  readonly clients: number
  /** Seconds before feeds are stalled, for comparison, and with those. */
  readonly calmSeconds: number
  readonly seconds: number
  readonly stallMs: number
  /** How long the last events may be under way to all that take them. */
  readonly patienceMs: number
  readonly bug?: FeedBug
}

const batch = Array.from({ length: 100 }, (_, n) => ({
  type: 'Large',
  data: { n, text: 'x'.repeat(10_000) },
}))

/** A server over a log that is far larger than what sockets hold. */
async function start(size: Size) {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-feeds-'))
  const input: FeedsInput = {
    ...{ url: `sqlite:${join(folder, 'log.db')}`, stallMs: size.stallMs, bug: size.bug },
  }
  const nodeOptions = ['--expose-gc', '--max-old-space-size=200']
  const child = startChild(import.meta.url, './feeds-program.ts', { input, nodeOptions })
  onTestFinished(async () => {
    await endChildren([child])
    rmSync(folder, { recursive: true, force: true })
  })
  const port = await child.message<number>('listening')
  const store = await openStore(`http://127.0.0.1:${port}`)
  onTestFinished(() => store.close())
  for (let n = 0; n < 25; n++) await store.append('large-1', batch)
  return { child, port, store }
}

/** What a server that reads large events takes once, whether feeds are stalled or not. */
async function warmUp(port: number, store: Store): Promise<void> {
  const { newest } = await store.positions()
  const readers = await openStalled(port, STALLED)
  for (const reader of readers) reader.resume()
  await until(() => readers.every(({ last }) => last >= newest), 30_000)
  for (const reader of readers) reader.close()
  await until(async () => (await metric(port, 'eventuali_feeds')) === 0, 30_000)
}

async function memoryOf(child: Child): Promise<FeedsMemory> {
  child.send('memory')
  return child.message<FeedsMemory>('memory')
}

async function metric(port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1] ?? 0)
}

/** Appends two small events twice a second; each carries when that was. */
async function tickUntil(store: Store, over: () => boolean): Promise<number> {
  let appended = 0
  while (!over()) {
    const tick = () => ({
      type: 'Ticked',
      data: { atMs: Math.round(performance.now()), text: 'x'.repeat(500) },
    })
    await store.append('tick-1', [tick(), tick()])
    appended += 2
    await sleep(500)
  }
  return appended
}

async function until(isMet: () => boolean | Promise<boolean>, ms: number): Promise<boolean> {
  const endMs = performance.now() + ms
  while (!(await isMet())) {
    if (performance.now() > endMs) return false
    await sleep(100)
  }
  return true
}

/** Ten feeds that take nothing are cut off; two of them go on behind what they took. */
async function round(
  port: number,
  store: Store,
  { stallMs, patienceMs }: Size,
  onStalled: () => Promise<void>,
) {
  const cutBefore = await metric(port, 'eventuali_feeds_cut_total')
  const seen: number[][] = [[], []]
  const clients = await openStalled(port, STALLED)
  const cut = async () => (await metric(port, 'eventuali_feeds_cut_total')) - cutBefore
  await sleep(stallMs * 0.8)
  await onStalled()
  await until(async () => (await cut()) >= STALLED, stallMs * 2)
  const found =
    (await cut()) < STALLED ? [`${await cut()} of ${STALLED} stalled ones were cut`] : []
  for (const [n, positions] of seen.entries()) {
    const client = clients[n] as FeedClient
    client.onEvent = (position) => positions.push(position)
    client.resume()
    await until(() => client.isEnded, Math.min(1000, patienceMs))
    client.close()
    const { newest } = await store.positions()
    const rest = await resumeFeed(port, client.lastId, (position) => positions.push(position))
    await until(() => rest.last >= newest, patienceMs)
    rest.close()
    // Nobody else appends, so that no position is missing.
    const skipped = newest - new Set(positions.filter((position) => position <= newest)).size
    if (skipped > 0) found.push(`a feed that went on skipped ${skipped} events`)
  }
  for (const client of clients) client.close()
  return found
}

/** Serves feeds for a while; what was wrong. */
async function serveFeeds(run: Campaign, size: Size): Promise<readonly string[]> {
  const { child, port, store } = await start(size)
  const found: string[] = []
  if (size.bug === undefined) await warmUp(port, store)
  let delays: number[] = []
  const clients = await openFeeds(port, size.clients - STALLED, (_position, frame) => {
    const at = /"atMs":(\d+)/.exec(frame)?.[1]
    if (at !== undefined) delays.push(performance.now() - Number(at))
  })
  await until(async () => (await metric(port, 'eventuali_feeds')) === clients.length, 30_000)
  const calmEndMs = performance.now() + size.calmSeconds * 1000
  let appended = await tickUntil(store, () => performance.now() > calmEndMs)
  const calm = percentile(delays, 0.99)
  delays = []
  const before = await memoryOf(child)
  const endMs = performance.now() + size.seconds * 1000
  let isOver = false
  let [held, resident] = [0, 0]
  let rounds = 0
  const stall = async () => {
    do {
      const onStalled = async () => {
        const { heldBytes, residentBytes } = await memoryOf(child)
        held = Math.max(held, heldBytes - before.heldBytes)
        resident = Math.max(resident, residentBytes)
      }
      found.push(...(await round(port, store, size, onStalled)))
      rounds++
    } while (performance.now() + size.stallMs * 1.2 < endMs)
    await sleep(Math.max(0, endMs - performance.now()))
    isOver = true
  }
  const stalling = stall()
  appended += await tickUntil(store, () => isOver)
  await stalling
  const behind = () => clients.filter(({ events }) => events < appended).length
  if (!(await until(() => behind() === 0, size.patienceMs))) {
    found.push(`${behind()} of ${clients.length} feeds are behind`)
  }
  const wrong = clients.filter(({ faults, isEnded }) => faults > 0 || isEnded).length
  if (wrong > 0) found.push(`${wrong} feeds have ended or are out of order`)
  resident = Math.max(resident, (await memoryOf(child)).residentBytes)
  const grown = (resident - before.residentBytes) / MIB
  if (grown > GROWTH_MAX_MIB) found.push(`memory has grown by ${grown.toFixed()} MiB`)
  const each = held / MIB / STALLED
  if (each > HELD_MAX_MIB) found.push(`${each.toFixed(1)} MiB are held for each stalled feed`)
  const delay = percentile(delays, 0.99)
  if (delay > Math.max(2 * calm, DELAY_MS)) {
    found.push(`99 % within ${delay.toFixed()} ms, and ${calm.toFixed()} ms before`)
  }
  run.note(`${size.clients} feeds, ${rounds} times ${STALLED} of them stalled, ${appended} events`)
  run.note(`+${grown.toFixed()} MiB resident, ${each.toFixed(2)} MiB held for each stalled one`)
  run.note(`99 % within ${delay.toFixed()} ms, ${calm.toFixed()} ms without stalled ones`)
  for (const client of clients) client.close()
  child.send('end')
  return found
}

describe('live feeds', () => {
  it('stay whole and small beside those that take nothing', async () => {
    await campaign('R15 HTTP, live feeds', async (run) => {
      const seconds = Math.min(1800, 56 * run.scale)
      const size = { clients: 1000, calmSeconds: 4, stallMs: 22_000, patienceMs: 30_000 }
      const found = await serveFeeds(run, { ...size, seconds })
      expect(found.join('\n')).toBe('')
    })
  }, 2_400_000)

  const signs: readonly [bug: FeedBug, stallMs: number, sign: RegExp][] = [
    // Time to read more than the sockets hold.
    ['unbounded', 6000, /MiB are held/],
    ['waits for all', 3000, /99 % within|feeds are behind/],
    ['drops for the slow', 600, /skipped \d+ events/],
  ]

  it('that are unbounded, wait for all, or drop for the slow, are found', async () => {
    await campaign('R15 planted: three kinds of feeds', async (run) => {
      const plant = async ([bug, stallMs, sign]: (typeof signs)[number]) => {
        const size = { clients: 30, calmSeconds: 1, seconds: 2, patienceMs: 700 }
        const found = await serveFeeds({ ...run, note: () => {} }, { ...size, stallMs, bug })
        run.note(`${bug}: ${found.join(', ')}`)
        expect([bug, found.join('\n')]).toEqual([bug, expect.stringMatching(sign)])
      }
      await Promise.all(signs.map(plant))
    })
  })
})
