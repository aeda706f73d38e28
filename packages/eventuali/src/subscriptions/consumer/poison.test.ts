import { describe, expect, it } from 'vitest'
import { append, optionsOf, runtimeOf, until } from '../../../test/harness/consumer-kit.ts'
import { ConnectionError, type RecordedEvent } from '../../model/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { openMemoryStore } from '../../stores/memory/index.ts'
import { wrapStore } from '../../testing/index.ts'
import {
  type Consumer,
  type ConsumerOptions,
  DeadLetters,
  listAudit,
  SubscriptionControl,
  startConsumer,
  Worker,
} from '../index.ts'

interface Rig {
  readonly store: EventStore
  readonly letters: DeadLetters
  readonly control: SubscriptionControl
  /** Events that were done, in order: `STREAM:n`. */
  readonly done: string[]
  /** `STREAM:n` of events that fail. */
  readonly poison: Set<string>
  start(options?: Partial<ConsumerOptions>, port?: EventStore): Consumer
}

const label = ({ stream, data }: RecordedEvent) => `${stream}:${(data as { n: number }).n}`

async function rig(): Promise<Rig> {
  const store = await openMemoryStore()
  const runtime = runtimeOf()
  const done: string[] = []
  const poison = new Set<string>()
  const handle: ConsumerOptions['handle'] = async ({ events, tx }) => {
    for (const event of events) {
      if (poison.has(label(event))) throw new RangeError(`cannot cope with ${label(event)}`)
    }
    for (const event of events) {
      if (tx === undefined) done.push(label(event))
      const effect = { kind: 'effect', key: label(event), expected: 0 } as const
      await tx?.records.write([{ ...effect, value: event.position }])
    }
  }
  return {
    ...{ store, done, poison },
    letters: new DeadLetters(store, runtime, 5000),
    control: new SubscriptionControl(store, runtime, 5000),
    start: (options, port = store) => {
      const worker = new Worker(port, runtime)
      return startConsumer(port, worker, optionsOf({ handle, ...options }), runtime)
    },
  }
}

const effectsOf = async (store: EventStore) =>
  (await store.records.list({ kind: 'effect', limit: 20_000 })).map(({ key }) => key)

describe('an event whose handler fails for good', () => {
  it('is parked with what follows in its key, and no other', async () => {
    const { store, letters, done, poison, start } = await rig()
    poison.add('a-1:2')
    for (const n of [1, 2, 3]) {
      await append(store, 'a-1', { n })
      await append(store, 'b-1', { n })
    }
    const consumer = start()
    await consumer.reached(6, { timeoutMs: 2000 })
    expect(done.filter((one) => one.startsWith('b'))).toEqual(['b-1:1', 'b-1:2', 'b-1:3'])
    expect(done.filter((one) => one.startsWith('a'))).toEqual(['a-1:1'])
    const parked = await letters.list()
    expect(parked.map(({ stream, version, reason }) => [stream, version, reason])).toEqual([
      ['a-1', 2, 'failed'],
      ['a-1', 3, 'follows'],
    ])
    expect(parked[0]).toMatchObject({
      ...{ state: 'parked', attempts: 3, position: 3, key: 'a-1', subscription: 'test' },
      error: { name: 'RangeError', message: 'cannot cope with a-1:2' },
    })
    await consumer.stop()
  })

  it('goes on in order when it is asked for again, also in another process', async () => {
    const { store, letters, done, poison, start } = await rig()
    poison.add('a-1:1')
    await append(store, 'a-1', { n: 1 }, { n: 2 })
    const first = start()
    await first.reached(2, { timeoutMs: 2000 })
    await first.stop()
    const second = start()
    await append(store, 'a-1', { n: 3 })
    await second.reached(3, { timeoutMs: 2000 })
    expect(done).toEqual([])
    // Still failing: everything stays where it is.
    const [last] = (await letters.list()).slice(-1)
    await letters.retry(last?.id ?? '', { actor: 'eva' })
    await until(async () => (await letters.list())[0]?.attempts === 4)
    expect((await letters.list()).length).toBe(3)
    poison.clear()
    await letters.retryAll('test', { actor: 'eva' })
    await until(async () => (await letters.list({ state: 'done' })).length === 3)
    await append(store, 'a-1', { n: 4 })
    await until(() => done.length === 4)
    expect(done).toEqual(['a-1:1', 'a-1:2', 'a-1:3', 'a-1:4'])
    const audit = await listAudit(store.records, { limit: 9 })
    expect(audit.map(({ actor, action }) => `${actor} ${action}`)).toEqual([
      'eva letter.retry',
      'eva letter.retry-all',
    ])
    await second.stop()
  })

  it('keeps its key closed while one behind it fails in its turn', async () => {
    const { store, letters, done, poison, start } = await rig()
    poison.add('a-1:1').add('a-1:2')
    await append(store, 'a-1', { n: 1 }, { n: 2 }, { n: 3 })
    const consumer = start()
    expect(consumer.state).toBe('catching-up')
    await consumer.reached(3, { timeoutMs: 2000 })
    poison.delete('a-1:1')
    await letters.retryAll('test')
    const states = async () =>
      (await letters.list({ state: 'any' })).map(({ state, reason }) => `${state} ${reason}`)
    const closed = ['done failed', 'parked failed', 'parked follows']
    await until(async () => String(await states()) === String(closed))
    await append(store, 'a-1', { n: 4 })
    await consumer.reached(4, { timeoutMs: 2000 })
    expect(done).toEqual(['a-1:1'])
    expect(await states()).toEqual([...closed, 'parked follows'])
    await consumer.stop()
  })

  it('lets its followers go on when it is discarded with a reason', async () => {
    const { store, letters, done, poison, start } = await rig()
    poison.add('a-1:1')
    await append(store, 'a-1', { n: 1 }, { n: 2 }, { n: 3 })
    const consumer = start()
    await consumer.reached(3, { timeoutMs: 2000 })
    const [head] = await letters.list()
    await expect(letters.discard(head?.id ?? '', { reason: ' ' })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
    await letters.discard(head?.id ?? '', { reason: 'a test order', actor: 'eva' })
    await until(() => done.length === 2)
    expect(done).toEqual(['a-1:2', 'a-1:3'])
    await append(store, 'a-1', { n: 4 })
    await until(() => done.length === 3)
    expect((await letters.get(head?.id ?? ''))?.note).toBe('a test order')
    await expect(letters.retry(head?.id ?? '')).rejects.toMatchObject({
      code: 'DEAD_LETTER_REFUSED',
    })
    await consumer.stop()
  })

  it('is parked alone when order does not matter', async () => {
    const { store, letters, done, poison, start } = await rig()
    poison.add('a-1:1')
    await append(store, 'a-1', { n: 1 }, { n: 2 })
    const consumer = start({ onPoison: 'park' })
    await consumer.reached(2, { timeoutMs: 2000 })
    expect(done).toEqual(['a-1:2'])
    poison.clear()
    const [letter] = await letters.list()
    await letters.retry(letter?.id ?? '')
    await until(() => done.length === 2)
    await consumer.stop()
  })

  it('stops its partition with a reason, others go on, until it is resumed', async () => {
    const { store, control, done, poison, start } = await rig()
    poison.add('a-1:2')
    const consumer = start({ onPoison: 'stop', partitions: 16 })
    await append(store, 'a-1', { n: 1 }, { n: 2 }, { n: 3 })
    await append(store, 'b-1', { n: 1 })
    await until(() => consumer.partitions().some(({ stopped }) => stopped !== undefined))
    await until(() => done.includes('b-1:1'))
    expect(done.filter((one) => one.startsWith('a'))).toEqual(['a-1:1'])
    expect(consumer.error).toBeInstanceOf(RangeError)
    expect(consumer.reason).toContain('cannot cope with a-1:2')
    poison.clear()
    await control.resume('test')
    await until(() => done.length === 4)
    await until(() => consumer.error === undefined && consumer.state === 'live')
    await consumer.stop()
  })

  it('fails the whole when there is one partition only, and goes on after a resume', async () => {
    const { store, control, done, poison, start } = await rig()
    poison.add('a-1:1')
    await append(store, 'a-1', { n: 1 })
    const consumer = start({ onPoison: 'stop' })
    await until(() => consumer.state === 'failed')
    expect(consumer.reason).toContain('cannot cope')
    poison.clear()
    await control.resume('test')
    await until(() => done.length === 1)
    await consumer.stop()
  })

  describe('while others go on', () => {
    /** With a-1:1 parked, and then one batch: what follows it, another event, and one more. */
    const withFollower = async () => {
      const made = await rig()
      const { store, done, poison, start } = made
      // Tells of its progress event by event, as a handler that is a function does.
      const handle: ConsumerOptions['handle'] = async ({ events, progress }) => {
        for (const event of events) {
          if (poison.has(label(event))) throw new RangeError(`cannot cope with ${label(event)}`)
          done.push(label(event))
          progress(event.position)
        }
      }
      poison.add('a-1:1')
      await append(store, 'a-1', { n: 1 })
      const first = start({ handle })
      await first.reached(1, { timeoutMs: 2000 })
      await first.stop()
      await append(store, 'a-1', { n: 2 })
      await append(store, 'b-1', { n: 1 })
      await append(store, 'c-1', { n: 1 })
      return { ...made, handle }
    }

    it.each([2, 0])(
      'keeps what follows it, %i more tries after a failure',
      async (retryCountMax) => {
        const { letters, done, poison, start, handle } = await withFollower()
        poison.add('c-1:1')
        const retry = { retryCountMax, firstDelayMs: 1, delayMaxMs: 2 }
        const consumer = start({ handle, retry })
        await consumer.reached(4, { timeoutMs: 2000 })
        const parked = (await letters.list()).map(({ stream, version }) => `${stream}:${version}`)
        expect(parked).toEqual(['a-1:1', 'a-1:2', 'c-1:1'])
        poison.clear()
        await letters.retryAll('test')
        await until(() => done.length === 4)
        expect(done.filter((one) => one.startsWith('a'))).toEqual(['a-1:1', 'a-1:2'])
        await consumer.stop()
      },
    )

    it('keeps what follows it when the store fails just then', async () => {
      const { store, letters, done, start, handle } = await withFollower()
      let failures = 0
      const port = wrapStore(store, {
        records: {
          write: async (next, changes, options) => {
            const parks = changes.some(({ kind }) => kind === 'letter')
            if (parks && failures++ === 0) throw new ConnectionError('a test')
            return next.write(changes, options)
          },
        },
      })
      const consumer = start({ handle }, port)
      await consumer.reached(4, { timeoutMs: 2000 })
      const parked = (await letters.list()).map(({ stream, version }) => `${stream}:${version}`)
      expect(parked).toEqual(['a-1:1', 'a-1:2'])
      expect(failures).toBe(2)
      expect(done).toEqual(['b-1:1', 'c-1:1'])
      await consumer.stop()
    })
  })

  it('is found among ten thousand, exactly, and handled after the fix', async () => {
    const { store, letters, poison, start } = await rig()
    for (let n = 0; n < 10_000; n += 100) {
      const stream = `s-${(n / 100) % 50}`
      await append(store, stream, ...Array.from({ length: 100 }, (_, i) => ({ n: n + i })))
      poison.add(`${stream}:${n + (n % 97)}`)
    }
    const retry = { retryCountMax: 1, firstDelayMs: 1, delayMaxMs: 1 }
    const consumer = start({ transactional: true, onPoison: 'park', partitions: 8, retry })
    await consumer.reached(10_000, { timeoutMs: 30_000 })
    const parked = await letters.list({ limit: 10_000 })
    const labels = parked.map(({ stream, version }) => {
      const earlier = Math.floor((version - 1) / 100) * 5000 + Number(stream.slice(2)) * 100
      return `${stream}:${earlier + ((version - 1) % 100)}`
    })
    expect(labels.sort()).toEqual([...poison].sort())
    expect((await effectsOf(store)).length).toBe(10_000 - poison.size)
    poison.clear()
    await letters.retryAll('test')
    await until(async () => (await effectsOf(store)).length === 10_000, 20_000)
    await consumer.stop()
  })

  it('keeps errors of any size and kind small', async () => {
    const { store, letters, start } = await rig()
    const thrown: unknown[] = [new Error('x'.repeat(1e6)), 'a text', undefined, { code: 7 }]
    const handle = async ({ events }: { events: readonly RecordedEvent[] }) => {
      throw thrown[(events[0]?.position ?? 0) - 1]
    }
    await append(store, 'a-1', { n: 1 }, { n: 2 }, { n: 3 }, { n: 4 })
    const consumer = start({ handle, onPoison: 'park' })
    await consumer.reached(4, { timeoutMs: 2000 })
    for (const { error } of await letters.list()) {
      expect(JSON.stringify(error).length).toBeLessThan(3000)
    }
    await consumer.stop()
  })
})
