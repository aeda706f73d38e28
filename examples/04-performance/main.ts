// What makes appends and loads fast, as ratios on your machine. Run it where your program will run:
// most of what it measures is how long the disk takes to say that a commit is safe.
import { type AppendManyEntry, defineAggregate, defineEvents, openStore, type } from 'eventuali'
import { freshStore } from '../fresh-store.ts'

const events = defineEvents({ Measured: type<{ celsius: number }>() })
const Sensor = defineAggregate('sensor', {
  events,
  initial: () => ({ sum: 0, count: 0 }),
  evolve: {
    Measured: ({ sum, count }, { data }) => ({ sum: sum + data.celsius, count: count + 1 }),
  },
  commands: { measure: (_state, celsius: number) => events.Measured({ celsius }) },
})
const COUNT = 256
const measured = (n: number) => events.Measured({ celsius: n % 40 })
const numbers = Array.from({ length: COUNT }, (_, n) => n)

await using store = await openStore(await freshStore('sensors'))

/** Events a second of `work`, which stores COUNT events; the better of two runs. */
async function rate(work: (prefix: string) => Promise<unknown>): Promise<number> {
  let best = 0
  for (let run = 0; run < 2; run++) {
    const from = performance.now()
    await work(`sensor-${work.name}${run}x`)
    best = Math.max(best, (COUNT * 1000) / (performance.now() - from))
  }
  return best
}

/** Each waits for the one before: as many commits as events. */
async function oneByOne(prefix: string) {
  for (const n of numbers) await store.append(`${prefix}${n % 8}`, measured(n))
}

/** 32 callers at a time, as in a server with 32 requests: they share commits by themselves. */
async function concurrent(prefix: string) {
  const next = numbers.values()
  const caller = async () => {
    for (const n of next) await store.append(`${prefix}${n % 8}`, measured(n))
  }
  await Promise.all(Array.from({ length: 32 }, caller))
}

/** All of one stream in one call: one commit. */
async function inOneAppend(prefix: string) {
  await store.append(`${prefix}0`, numbers.map(measured))
}

/** Whatever an iterable gives, in transactions of a thousand: for imports and feeds. */
async function appendMany(prefix: string) {
  const entries = numbers.map((n): AppendManyEntry => {
    return { stream: `${prefix}${n % 8}`, events: measured(n) }
  })
  await store.appendMany(entries)
}

const base = await rate(oneByOne)
console.log('Appends, against one at a time:')
for (const [name, work] of [
  ['32 callers at a time', concurrent],
  ['one call for a stream', inOneAppend],
  ['appendMany', appendMany],
] as const) {
  console.log(`  ${name.padEnd(22)} ${times((await rate(work)) / base)}`)
}

console.log('Commands, against loading the stream each time:')
const plain = await commandRate()
await using cached = await openStore(await freshStore('sensors-cached'), {
  // The newest states in memory: a command reads nothing, and a stale one is noticed.
  cache: { bytes: 16 * 1024 * 1024 },
})
console.log(`  ${'with a cache'.padEnd(22)} ${times((await commandRate(cached)) / plain)}`)

const { events: count, ok } = await store.verify()
console.log(`${count} events, all of them verified: ${ok}`)

/** Commands a second on one stream of 1,000 events. */
async function commandRate(on = store): Promise<number> {
  await on.append(
    'sensor-long',
    Array.from({ length: 1000 }, (_, n) => measured(n)),
  )
  const sensors = on.aggregate(Sensor)
  await sensors.load('long')
  const from = performance.now()
  for (let n = 0; n < 50; n++) await sensors.execute('long', 'measure', n)
  return 50_000 / (performance.now() - from)
}

function times(ratio: number): string {
  return `${ratio.toFixed(1)} times as fast`
}
