// A shop in production, watched: health and metrics of its server, rules that say when to wake
// somebody, and three faults: mails that cannot be sent, books that must not skip an entry, and a
// program that dies. `node main.ts --rules` prints the rules for Prometheus instead.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { serve } from '@eventuali/server'
import { openStore } from 'eventuali'
import { freshStore } from '../fresh-store.ts'
import { Alerts, prometheusRules } from './alerts.ts'
import { type Metrics, parseMetrics } from './metrics.ts'
import { Service, shopEvents } from './shop.ts'

if (process.argv.includes('--rules')) {
  console.log(prometheusRules())
  process.exit()
}

const url = await freshStore('watched')
await using store = await openStore(url, { events: [shopEvents] })
await using running = await serve(store, { port: 0 })
let worker = startWorker()
process.once('exit', () => worker.kill())

const mailServer = new Service('mail server')
const bank = new Service('bank')
const retry = { retryCountMax: 1, minDelayMs: 10 }
// A mail that cannot be sent holds nobody else up; it becomes a dead letter.
const mailer = store.subscribe({ name: 'mailer', retry, onPoison: 'park' }, () => mailServer.call())
// The books stop at what they cannot enter: a later entry must not overtake it.
store.subscribe({ name: 'books', retry, onPoison: 'stop' }, () => bank.call())

const alerts = new Alerts()
let orders = 0

console.log('Three orders, all is well:')
await placeOrders(3)
await handled('mailer', 'books', 'projection:sales/g1')
await look()
await show()

console.log('\nThe mail server is down, two orders come:')
mailServer.isUp = false
await placeOrders(2)
await mailer.reached(orders)
await handled('books', 'projection:sales/g1')
await lookUntil('DeadLetters mailer')
await show()

console.log('\nIt is up again, and the letters are handled once more:')
mailServer.isUp = true
await store.deadLetters.retryAll('mailer', { actor: 'ada' })
await lookUntil()
await show()
console.log(`  mails sent: ${mailServer.calls}`)

console.log('\nThe bank is down, one order comes:')
bank.isUp = false
await placeOrders(1)
await handled('mailer', 'projection:sales/g1')
await lookUntil('Stopped books')
await show()

console.log('\nIt is up again, and the books are told to go on:')
bank.isUp = true
await store.subscriptions.resume('books', { actor: 'ada' })
await handled('books')
await lookUntil()
await show()
console.log(`  entries in the books: ${bank.calls}`)

console.log('\nThe program that keeps the projection dies, eight orders come:')
worker.kill('SIGKILL')
await once(worker, 'exit')
await placeOrders(8)
await handled('mailer', 'books')
await lookUntil('Lag projection:sales/g1')
await show()

console.log('\nIt is started again:')
worker = startWorker()
await lookUntil()
await show()
await handled('projection:sales/g1')
worker.disconnect()
await once(worker, 'exit')

function startWorker(): ChildProcess {
  return fork(join(import.meta.dirname, 'worker.ts'), [url], { stdio: 'inherit' })
}

async function placeOrders(count: number): Promise<void> {
  for (const end = orders + count; orders < end; orders++) {
    const data = { customer: `c${orders % 3}`, cents: 10_00 }
    await store.append(`order-${orders + 1}`, shopEvents.OrderPlaced(data))
  }
}

async function scrape(): Promise<Metrics> {
  const response = await fetch(`${running.url}/metrics`)
  return parseMetrics(await response.text())
}

/** One look at the metrics; what begins and what ends is told. */
async function look(): Promise<void> {
  for (const { state, rule, subject, value } of alerts.look(await scrape())) {
    console.log(`  ${state} ${rule.alert} of ${subject}: ${value}`)
    if (state === 'FIRING') console.log(`    ${rule.action}`)
  }
}

/** Looks until just these alerts fire. In production a look is every 15 seconds. */
async function lookUntil(...wanted: string[]): Promise<void> {
  for (const end = Date.now() + 60_000; ; await sleep(50)) {
    await look()
    if (alerts.firing.join() === wanted.join()) return
    if (Date.now() > end) throw new Error(`these fire: ${alerts.firing.join()}`)
  }
}

/** Waits until nothing is left to do for these. */
async function handled(...names: string[]): Promise<void> {
  for (const end = Date.now() + 60_000; ; await sleep(20)) {
    const lags = (await scrape()).get('eventuali_subscription_lag') ?? []
    const done = lags.filter(({ value }) => value === 0).map(({ labels }) => labels.subscription)
    if (names.every((name) => done.includes(name))) return
    if (Date.now() > end) throw new Error(`${names} have not caught up`)
  }
}

/** What an operator sees: readiness, what waits for somebody, and the lags. */
async function show(): Promise<void> {
  const ready = await fetch(`${running.url}/health/ready`)
  const detail = await (await fetch(`${running.url}/health/detail`)).json()
  const { checks } = detail as { checks: { name: string; status: string; message: string }[] }
  // The others are about the database and the disk, which differ from machine to machine.
  const watched = checks.filter(({ name }) => ['consumers', 'dead-letters'].includes(name))
  const words = watched.map(({ name, status }) => `${name} ${status}`)
  console.log(`  ready: ${ready.ok}, ${words.join(', ')}`)
  for (const { status, message } of watched) if (status !== 'healthy') console.log(`    ${message}`)
  const lags = (await scrape()).get('eventuali_subscription_lag') ?? []
  const lagWords = lags.map(({ labels, value }) => `${labels.subscription} ${value}`).sort()
  console.log(`  lag: ${lagWords.join(', ')}`)
}
