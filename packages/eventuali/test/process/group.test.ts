import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore, type Store } from '../../src/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { type Child, endChildren, startChild } from '../harness/child.ts'
import { type Place, sharedPlaces } from '../harness/places.ts'
import type { GroupWorkerInput } from './group-worker.ts'

const leaseTtlMs = 2000
const partitions = 16
const keyCount = 100

interface Handled {
  readonly atMs: number
  readonly stream: string
  readonly version: number
}

/** What the workers of one group have written down, of all processes that ever were. */
class Group {
  readonly #url: string
  readonly #mutant: GroupWorkerInput['mutant']
  readonly #all: Child[] = []
  readonly running: Child[] = []

  constructor(url: string, mutant?: GroupWorkerInput['mutant']) {
    this.#url = url
    this.#mutant = mutant
  }

  async start(): Promise<Child> {
    const input: GroupWorkerInput = {
      ...{ url: this.#url, name: 'ledger', partitions, leaseTtlMs },
      mutant: this.#mutant,
    }
    const child = startChild(import.meta.url, './group-worker.ts', { input })
    this.#all.push(child)
    this.running.push(child)
    await child.message('ready')
    return child
  }

  /** Ends a worker: by a signal that leaves it no time, or by asking it to. */
  async end(child: Child, how: 'SIGKILL' | 'stop'): Promise<void> {
    this.running.splice(this.running.indexOf(child), 1)
    if (how === 'SIGKILL') child.kill('SIGKILL')
    else {
      child.send({})
      await child.message('report')
    }
    await child.ended
  }

  /** Lines in the order of the clock that the processes share. */
  handled(): Handled[] {
    const lines = this.#all.flatMap((child) => {
      const text = child.output()
      return text
        .slice(0, text.lastIndexOf('\n') + 1)
        .split('\n')
        .slice(0, -1)
    })
    const parsed = lines.map((line) => {
      const [atMs, stream = '', version] = line.split(' ')
      return { atMs: Number(atMs), stream, version: Number(version) }
    })
    return parsed.sort((a, b) => a.atMs - b.atMs)
  }

  of(child: Child): Handled[] {
    const lines = child.output().split('\n').slice(0, -1)
    return lines.map((line) => {
      const [atMs, stream = '', version] = line.split(' ')
      return { atMs: Number(atMs), stream, version: Number(version) }
    })
  }

  async dispose(): Promise<void> {
    await endChildren(this.#all)
  }
}

/** What is lost or out of order: the first time that each version was handled decides. */
function wrongIn(handled: readonly Handled[], versions: ReadonlyMap<string, number>): string[] {
  const wrong: string[] = []
  const last = new Map<string, number>()
  for (const { stream, version } of handled) {
    const before = last.get(stream) ?? 0
    if (version > before + 1) wrong.push(`${stream} went from ${before} to ${version}`)
    last.set(stream, Math.max(before, version))
  }
  for (const [stream, version] of versions) {
    const seen = last.get(stream) ?? 0
    if (seen < version) wrong.push(`${stream} ends at ${seen}, its last version is ${version}`)
  }
  return wrong
}

/** Appends small batches to random streams until told to stop. */
function startWriter(store: Store, run: Campaign) {
  const versions = new Map<string, number>()
  let stopped = false
  const write = async (): Promise<void> => {
    while (!stopped) {
      const stream = `key-${run.between(1, keyCount)}`
      const events = Array.from({ length: run.between(1, 3) }, () => ({ type: 'Noted', data: {} }))
      const { version } = await store.append(stream, events)
      versions.set(stream, version)
      await sleep(run.between(0, 6))
    }
  }
  const running = write()
  const stop = async (): Promise<void> => {
    stopped = true
    await running
  }
  return { versions, stop }
}

async function caughtUp(group: Group, versions: ReadonlyMap<string, number>): Promise<string[]> {
  for (let round = 0; ; round++) {
    const wrong = wrongIn(group.handled(), versions)
    if (wrong.length === 0 || round > 100) return wrong
    await sleep(100)
  }
}

/** Workers come, leave and die for so long; gives what was wrong at the end. */
async function churn(
  run: Campaign,
  place: Place,
  durationMs: number,
  mutant?: GroupWorkerInput['mutant'],
): Promise<string[]> {
  const url = await place.url()
  const store = await openStore(url)
  const group = new Group(url, mutant)
  const writer = startWriter(store, run)
  let kills = 0
  let stops = 0
  try {
    await Promise.all(Array.from({ length: 8 }, () => group.start()))
    const endAt = performance.now() + durationMs
    while (performance.now() < endAt) {
      await sleep(run.between(100, 1200))
      const child = run.pick(group.running)
      const how = run.pick(['SIGKILL', 'stop'] as const)
      if (how === 'SIGKILL') kills++
      else stops++
      await group.end(child, how)
      if (run.between(0, 3) > 0) await sleep(run.between(0, 800))
      while (group.running.length < run.between(4, 8)) await group.start()
    }
    await writer.stop()
    const wrong = await caughtUp(group, writer.versions)
    const handled = group.handled()
    const distinct = new Set(handled.map(({ stream, version }) => `${stream} ${version}`)).size
    run.note(
      `${distinct} events, ${handled.length - distinct} handled again, ${kills} kills, ${stops} stops`,
    )
    return wrong
  } finally {
    await writer.stop()
    await group.dispose()
    await store.close()
  }
}

describe.each(sharedPlaces())('a consumer group on $adapter', (place) => {
  beforeAll(() => place.start())
  afterAll(() => place.stop())

  test.skipIf(place.skip)(
    'of workers that come and go loses and reorders nothing',
    async () => {
      await campaign(`8 workers come and go, ${place.adapter}`, async (run) => {
        expect(await churn(run, place, 60_000 * run.scale)).toEqual([])
      })
    },
    1_800_000,
  )

  test.skipIf(place.skip)('is seen when it forgets or reorders', async () => {
    await campaign(`8 workers, planted, ${place.adapter}`, async (run) => {
      expect((await churn(run, place, 3000, 'forgets')).join()).toContain(' to ')
      expect((await churn(run, place, 3000, 'reorders')).join()).toContain(' to ')
    })
  })

  test.skipIf(place.skip)('hands the partitions of a killed worker over in time', async () => {
    await campaign(`hand-over after SIGKILL, ${place.adapter}`, async (run) => {
      const url = await place.url()
      const store = await openStore(url)
      const group = new Group(url)
      const writer = startWriter(store, run)
      const delaysMs: number[] = []
      try {
        await group.start()
        for (let round = 0; round < run.scaled(4); round++) {
          const heir = await group.start()
          const victim = group.running.find((child) => child !== heir) as Child
          // Both have work before one of them dies.
          while (group.of(heir).length < 20 || group.of(victim).length < 20) await sleep(20)
          const theirs = new Set(
            group
              .of(victim)
              .slice(-200)
              .map(({ stream }) => stream),
          )
          const diedAtMs = Number(process.hrtime.bigint()) / 1e6
          await group.end(victim, 'SIGKILL')
          for (const stream of theirs)
            await store
              .append(stream, { type: 'Noted', data: {} })
              .then(({ version }) => writer.versions.set(stream, version))
          const takenOver = () =>
            group
              .of(heir)
              .filter((h) => h.atMs > diedAtMs && theirs.delete(h.stream))
              .at(-1)?.atMs
          let lastMs = diedAtMs
          while (theirs.size > 0 && lastMs - diedAtMs < 30_000) {
            await sleep(10)
            lastMs = takenOver() ?? lastMs
          }
          expect(theirs.size).toBe(0)
          delaysMs.push(lastMs - diedAtMs)
        }
        await writer.stop()
        expect(await caughtUp(group, writer.versions)).toEqual([])
        run.note(`handed over after ${delaysMs.map((ms) => ms.toFixed()).join(', ')} ms`)
        for (const ms of delaysMs) expect(ms).toBeLessThan(leaseTtlMs + 1000 + 1000)
      } finally {
        await writer.stop()
        await group.dispose()
        await store.close()
      }
    })
  })
})
