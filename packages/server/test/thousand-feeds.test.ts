import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { openStore } from 'eventuali'
import { expect, it, onTestFinished } from 'vitest'
import { openFeeds, openStalled } from './feed-clients.ts'

const bin = join(import.meta.dirname, '../../eventuali/bin/eventuali.js')
// The whole of it takes a minute: EVENTUALI_SCALE=6 npx vitest run --project servers thousand-feeds
const seconds = Math.min(60, 10 * Math.max(1, Number(process.env.EVENTUALI_SCALE ?? 1)))
const CLIENTS = 1000
const STALLED = 10
const MIB = 1024 * 1024

/** A server in a process of its own, whose memory nothing else uses. */
async function startServer(): Promise<string> {
  // What it holds has to fit: a queue for each of those that take nothing would not.
  const argv = [
    '--max-old-space-size=200',
    bin,
    'serve',
    '--store',
    'memory:',
    '--port',
    '0',
    '--json',
  ]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await once(child, 'close')
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return (JSON.parse(line.toString()) as { url: string }).url
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

const title = `serves ${CLIENTS} feeds for ${seconds} s, ${STALLED} of them stalled, in bounded memory`

it(title, async () => {
  const url = await startServer()
  const port = Number(new URL(url).port)
  await using store = await openStore(url)
  // What the stalled ones would have to be sent: far more than sockets hold.
  const large = Array.from({ length: 100 }, () => ({ type: 'Large', data: 'x'.repeat(10_000) }))
  for (let n = 0; n < 60; n++) await store.append('large-1', large)
  const clients = await openFeeds(port, CLIENTS - STALLED)
  const stalled = await openStalled(port, STALLED)
  await expect.poll(() => metric(url, 'eventuali_feeds'), { timeout: 30_000 }).toBe(CLIENTS)
  const before = await metric(url, 'process_resident_memory_bytes')
  let appended = 0
  const endMs = performance.now() + seconds * 1000
  while (performance.now() < endMs) {
    const tick = { type: 'Ticked', data: { text: 'x'.repeat(500) } }
    await store.append('tick-1', [tick, tick])
    appended += 2
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const whole = () => clients.filter(({ events }) => events === appended).length
  await expect.poll(whole, { timeout: 60_000, interval: 100 }).toBe(clients.length)
  expect(clients.filter(({ faults, isEnded }) => faults > 0 || isEnded)).toEqual([])
  const grown = (await metric(url, 'process_resident_memory_bytes')) - before
  // Ten copies of the log alone, in memory for those that take nothing, would be 600 MiB.
  expect(grown / MIB).toBeLessThan(300)
  for (const client of clients) client.close()
  for (const socket of stalled) socket.destroy()
  await expect.poll(() => metric(url, 'eventuali_feeds'), { timeout: 30_000 }).toBe(0)
})
