// An electricity meter has a reading every quarter of an hour; after two months its stream has
// 5,761 events. What kept states do for it, when they are taken, and how they are known to be
// right.
import { isEventualiError, openStore } from 'eventuali'
import { freshStore } from '../fresh-store.ts'
import { events, Meter, MeterInKilowattHours } from './meter.ts'

const QUARTER_MS = 15 * 60_000
const start = Date.parse('2026-01-01T00:00:00Z')
const at = (quarter: number) => new Date(start + quarter * QUARTER_MS).toISOString()
const reading = (quarter: number) => ({ at: at(quarter), wattHours: 100 + (quarter % 7) })
const COUNT = 5760

const url = await freshStore('meters')
const fill = async () => {
  await using store = await openStore(url)
  const readings = Array.from({ length: COUNT }, (_, n) => events.Read(reading(n + 1)))
  await store.append('meter-1', [events.MeterInstalled({ at: at(0), serial: 'EM-7' }), ...readings])
}
await fill()

/** Milliseconds of the fastest of some loads. */
async function fastest(load: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  for (let n = 0; n < 10; n++) {
    const from = performance.now()
    await load()
    best = Math.min(best, performance.now() - from)
  }
  return best
}

const without = await (async () => {
  await using plain = await openStore(url)
  return await fastest(() => plain.aggregate(Meter).load('1'))
})()

await using store = await openStore(url, {
  snapshots: {
    every: 500, // After so many events were folded by one load ...
    loadMs: 50, // ... or when a load took longer ...
    streams: (stream) => stream.startsWith('meter-'), // ... of these streams only.
    keep: 2, // Of each stream: for loads of the past, and in case one is damaged.
  },
})
const meters = store.aggregate(Meter)

console.log('1. Taken by a rule')
const { state, version } = await meters.load('1')
// Written after the load, in the background: nobody waits for it, except this example.
await store.snapshots.settled()
console.log(`  version ${version}, ${state.wattHours} Wh; kept: ${await kept()}`)

console.log('2. Used by loads and commands')
await meters.execute('1', 'read', reading(COUNT + 1))
const { state: now } = await meters.load('1')
console.log(`  last read ${now.lastRead.toISOString()} (a Date again), ${now.wattHours} Wh`)
console.log(`  loads that began with a kept state: ${store.snapshots.stats.used}`)
const withKept = await fastest(() => meters.load('1'))
console.log(`  such a load is ${(without / withKept).toFixed(0)} times as fast`)

console.log('3. Taken by hand, before a busy morning')
await store.snapshots.take(Meter, '1')
console.log(`  kept: ${await kept()}`)

console.log('4. Proved: every kept state is what its events give')
const { same, wrong } = await store.snapshots.verify(Meter)
console.log(`  ${same} the same, ${wrong.length} wrong`)

console.log('5. Other code never sees them')
const january = (await meters.load('1')).state.months['2026-01']
const deployed = (await store.aggregate(MeterInKilowattHours).load('1')).state.months['2026-01']
await store.snapshots.settled()
console.log(`  old code: ${january} Wh in January; new code: ${deployed?.toFixed(3)} kWh`)

console.log('6. Old events removed, the state stays')
await store.truncate('meter-1', { before: COUNT + 1, actor: 'ada' })
const { state: after } = await meters.load('1')
const left = await store.readStream('meter-1', { from: COUNT + 1 }).toArray()
console.log(`  ${left.length} events are left, and the sum is ${after.wattHours} Wh`)

console.log('7. Dropped: only where the events are there, nothing changes')
await store.append('meter-2', [events.MeterInstalled({ at: at(0), serial: 'EM-8' })])
await store.snapshots.take(Meter, '2')
await store.snapshots.drop('meter-2')
console.log(`  meter-2 loads from its events: ${(await meters.load('2')).state.serial}`)
// The events of meter-1 are gone; its kept state is all there is. So think before you drop.
await store.snapshots.drop('meter-1')
await meters.load('1').catch((error) => {
  if (!isEventualiError(error)) throw error
  console.log(`  meter-1 without its kept state: ${error.code}`)
})

async function kept(): Promise<string> {
  const versions = []
  for (const info of await store.snapshots.list('meter-1')) versions.push(info.version)
  return `version ${versions.sort((a, b) => a - b).join(' and ')}`
}
