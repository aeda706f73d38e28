import { describe, expect, it } from 'vitest'
import { append, optionsOf, runtimeOf, until } from '../../../test/harness/consumer-kit.ts'
import type { RecordedEvent } from '../../model/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { openMemoryStore } from '../../stores/memory/index.ts'
import {
  type Consumer,
  type ConsumerOptions,
  DeadLetters,
  listAudit,
  SubscriptionControl,
  savedPosition,
  startConsumer,
  Worker,
} from '../index.ts'
import { newLetter } from './letters.ts'
import { assertSubscriptionName, partitionKeysOf } from './values.ts'

// What an operator does to subscriptions and their dead letters.
const runtime = runtimeOf()
const lettersOf = (store: EventStore) => new DeadLetters(store, runtime, 5000)
const controlOf = (store: EventStore) => new SubscriptionControl(store, runtime, 5000)

function start(store: EventStore, options: Partial<ConsumerOptions> = {}): Consumer {
  return startConsumer(store, new Worker(store, runtime), optionsOf(options), runtime)
}

/** Letters of a subscription that nobody runs: one for each `KEY:POSITION`. */
async function park(store: EventStore, ordered: boolean, ...places: string[]): Promise<void> {
  const changes = places.map((place) => {
    const [key = '', position = '1'] = place.split(':')
    const event = { position: Number(position), stream: key, version: 1, type: 'T', id: place }
    return newLetter('test', event as RecordedEvent, {
      ...{ key, ordered, reason: 'failed', attempts: 1, parkedAt: 5 },
      error: { name: 'Error', message: place, code: '' },
    })
  })
  await store.transaction((tx) => tx.records.write(changes))
}

const keysIn = async (store: EventStore, state: 'parked' | 'requested' | 'discarded' | 'any') =>
  (await lettersOf(store).list({ state })).map(({ key, position }) => `${key}:${position}`).sort()

// Keys come in the order of their hashes.
async function idAt(store: EventStore, position: number): Promise<string> {
  const found = await lettersOf(store).list({ state: 'any' })
  return found.find((letter) => letter.position === position)?.id ?? ''
}

describe('dead letters', () => {
  it('are listed by state and subscription, a page after another', async () => {
    const store = await openMemoryStore()
    await park(store, true, 'a:1', 'a:2', 'b:3')
    const letters = lettersOf(store)
    const first = await letters.list({ subscription: 'test', limit: 2 })
    const rest = await letters.list({ subscription: 'test', after: first[1]?.id ?? '', limit: 2 })
    expect(rest).toHaveLength(1)
    expect([...first, ...rest].map(({ position }) => position).sort()).toEqual([1, 2, 3])
    expect(await letters.list({ subscription: 'tes' })).toEqual([])
    expect(await letters.list({ state: 'done' })).toEqual([])
    expect(await letters.list({ state: 'any' })).toHaveLength(3)
    for (const limit of [0, 1.5, Number.NaN]) {
      await expect(letters.list({ limit })).rejects.toMatchObject({ argument: 'limit' })
    }
    for (const argument of ['subscription', 'state', 'after']) {
      const query = { [argument]: 7 } as never
      await expect(letters.list(query)).rejects.toMatchObject({ argument })
    }
    const id = await idAt(store, 2)
    expect(await letters.get(id)).toMatchObject({ id, key: 'a', parkedAt: new Date(5) })
    expect(await letters.get('none')).toBe(undefined)
  })

  it('go on from the first of their key, alone where order makes no difference', async () => {
    const store = await openMemoryStore()
    await park(store, true, 'a:1', 'a:2', 'b:3')
    const letters = lettersOf(store)
    await letters.retry(await idAt(store, 2))
    expect(await keysIn(store, 'requested')).toEqual(['a:1'])
    // The key goes on already: nothing more to ask for.
    await letters.retry(await idAt(store, 2), { actor: 'ada' })
    expect(await keysIn(store, 'requested')).toEqual(['a:1'])
    const loose = await openMemoryStore()
    await park(loose, false, 'a:1', 'a:2')
    await lettersOf(loose).retry(await idAt(loose, 2))
    expect(await keysIn(loose, 'requested')).toEqual(['a:2'])
  })

  it('go on all at once: the first of each key, or each', async () => {
    const store = await openMemoryStore()
    await park(store, true, 'a:1', 'a:2', 'b:3', 'b:4', 'c:5')
    expect(await lettersOf(store).retryAll('test', { actor: 'ada' })).toBe(3)
    expect(await keysIn(store, 'requested')).toEqual(['a:1', 'b:3', 'c:5'])
    expect(await lettersOf(store).retryAll('other')).toBe(0)
    const [entry] = await listAudit(store.records, { limit: 9 })
    expect(entry).toMatchObject({ actor: 'ada', subject: 'test', details: { letters: 3 } })
    const loose = await openMemoryStore()
    await park(loose, false, ...Array.from({ length: 1001 }, (_, n) => `a:${n + 1}`))
    expect(await lettersOf(loose).retryAll('test')).toBe(1001)
    expect(await loose.records.list({ kind: 'letter', state: 'parked', limit: 1 })).toEqual([])
    // Nothing is parked any more.
    expect(await lettersOf(loose).retryAll('test')).toBe(0)
    const audit = await listAudit(loose.records, { limit: 9 })
    expect(
      audit.map(({ details }) => details?.letters).reduce((a, b) => Number(a) + Number(b)),
    ).toBe(1001)
  })

  it('are given up with a reason, and the ones behind the first go on', async () => {
    const store = await openMemoryStore()
    await park(store, true, 'a:1', 'a:2', 'a:3')
    const letters = lettersOf(store)
    const [first, second] = await letters.list()
    for (const reason of ['', '  ', undefined as unknown as string]) {
      const refused = letters.discard(first?.id ?? '', { reason })
      await expect(refused).rejects.toMatchObject({ argument: 'reason' })
    }
    // Not the first of its key: the key waits on.
    await letters.discard(second?.id ?? '', { reason: 'a test' })
    expect(await keysIn(store, 'parked')).toEqual(['a:1', 'a:3'])
    await letters.discard(first?.id ?? '', { reason: 'a test', actor: 'ada' })
    expect(await keysIn(store, 'discarded')).toEqual(['a:1', 'a:2'])
    expect(await keysIn(store, 'requested')).toEqual(['a:3'])
    expect((await letters.get(first?.id ?? ''))?.note).toBe('a test')
    const loose = await openMemoryStore()
    await park(loose, false, 'a:1', 'a:2')
    const [alone] = await lettersOf(loose).list()
    await lettersOf(loose).discard(alone?.id ?? '', { reason: 'a test' })
    expect(await keysIn(loose, 'parked')).toEqual(['a:2'])
  })

  it('that were parked behind time come before what goes on already', async () => {
    const store = await openMemoryStore()
    await park(store, true, 'a:2')
    await lettersOf(store).retry(await idAt(store, 2))
    await park(store, true, 'a:1')
    await lettersOf(store).retry(await idAt(store, 1))
    expect(await keysIn(store, 'requested')).toEqual(['a:1', 'a:2'])
  })

  it('that stand alone hold nothing back when their subscription starts', async () => {
    const store = await openMemoryStore()
    const first = start(store)
    await until(() => first.state === 'live')
    await first.stop()
    await park(store, false, 'a:1')
    await park(store, true, 'b:1')
    await append(store, 'a', { n: 1 })
    await append(store, 'b', { n: 2 })
    const done: string[] = []
    const consumer = start(store, {
      handle: async ({ events }) => {
        done.push(...events.map(({ stream }) => stream))
      },
    })
    await consumer.reached(2, { timeoutMs: 2000 })
    expect(done).toEqual(['a'])
    expect(await keysIn(store, 'parked')).toEqual(['a:1', 'b:1', 'b:2'])
    await consumer.stop()
  })

  it('are only moved while they are parked', async () => {
    const store = await openMemoryStore()
    await park(store, true, 'a:1')
    const letters = lettersOf(store)
    const [letter] = await letters.list()
    const id = letter?.id ?? ''
    await letters.discard(id, { reason: 'a test' })
    const code = 'DEAD_LETTER_REFUSED'
    const refused = (word: string) =>
      expect.objectContaining({ code, message: expect.stringContaining(word) })
    for (const [letterId, word] of [
      [id, 'is discarded, not parked'],
      ['none', 'is not there'],
    ] as const) {
      await expect(letters.retry(letterId)).rejects.toEqual(refused(word))
      await expect(letters.discard(letterId, { reason: 'x' })).rejects.toEqual(refused(word))
    }
  })

  it('whose event is no longer in the log are given up by whoever handles them', async () => {
    const store = await openMemoryStore()
    const done: number[] = []
    const consumer = start(store, {
      handle: async ({ events }) => {
        done.push(...events.map(({ position }) => position))
      },
    })
    await append(store, 'a', { n: 1 })
    await consumer.reached(1, { timeoutMs: 2000 })
    await park(store, true, 'a:1', 'a:90', 'a:91')
    expect(await lettersOf(store).retryAll('test')).toBe(1)
    await until(async () => (await keysIn(store, 'discarded')).length === 2)
    expect(await keysIn(store, 'discarded')).toEqual(['a:90', 'a:91'])
    expect((await lettersOf(store).list({ state: 'discarded' }))[0]?.note).toMatch(/no longer/)
    expect(done).toEqual([1, 1])
    await consumer.stop()
  })
})

describe('a subscription by its name', () => {
  it('is known once somebody has started it', async () => {
    const store = await openMemoryStore()
    const control = controlOf(store)
    expect(await control.names()).toEqual([])
    expect(await control.status('test')).toBe(undefined)
    expect(await savedPosition(store.records, 'test')).toBe(undefined)
    for (const call of [
      () => control.pause('test'),
      () => control.resume('test'),
      () => control.repartition('test', 2),
      () => control.reset('test', 0),
      () => control.drop('test'),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'SUBSCRIPTION_UNKNOWN' })
    }
    const consumer = start(store)
    await append(store, 'a', { n: 1 })
    await consumer.reached(1, { timeoutMs: 2000 })
    await consumer.stop()
    expect(await control.names()).toEqual(['test'])
    expect(await control.status('test')).toMatchObject({
      ...{ name: 'test', position: 1, paused: undefined, nextPartitions: undefined },
      partitions: [{ partition: 0, owner: undefined, position: 1, stopped: undefined }],
    })
    expect(await savedPosition(store.records, 'test')).toBe(1)
  })

  it('is one of any number, listed in order', async () => {
    const store = await openMemoryStore()
    const names = Array.from({ length: 501 }, (_, n) => `s${String(n).padStart(3, '0')}`)
    const changes = names.map((key) => ({
      ...{ kind: 'subscription', key, expected: 0 as const, value: {} },
    }))
    await store.transaction((tx) => tx.records.write(changes))
    expect(await controlOf(store).names()).toEqual(names)
  })

  it('has a name that fits a key, and a position or count that is one', async () => {
    for (const name of ['', 7, '\ud800']) {
      expect(() => assertSubscriptionName(name)).toThrow(/a text that is not empty/)
    }
    expect(() => assertSubscriptionName('x'.repeat(200))).not.toThrow()
    // A slash takes three characters in a key.
    for (const name of ['x'.repeat(201), '/'.repeat(67), 'a\u0000b']) {
      expect(() => assertSubscriptionName(name)).toThrow(/at most 200/)
    }
    const control = controlOf(await openMemoryStore())
    for (const position of [-1, 0.5]) {
      expect(() => control.reset('test', position)).toThrow(/must be a position/)
    }
    for (const count of [0, 1.5, 4097]) {
      expect(() => control.repartition('test', count)).toThrow(/from 1 to 4096/)
    }
  })

  it('is paused with a reason, set back, and repartitioned once at a time', async () => {
    const store = await openMemoryStore()
    const control = controlOf(store)
    const consumer = start(store)
    await append(store, 'a', { n: 1 }, { n: 2 })
    await consumer.reached(2, { timeoutMs: 2000 })
    await control.pause('test')
    await until(() => consumer.state === 'paused')
    expect(consumer.reason).toBe('paused by hand')
    expect((await control.status('test'))?.paused).toBe('paused by hand')
    await consumer.stop()
    await control.resume('test')
    await control.repartition('test', 3, { actor: 'ada' })
    expect((await control.status('test'))?.nextPartitions).toBe(3)
    await control.repartition('test', 1)
    await control.reset('test', 1)
    const status = await control.status('test')
    expect(status).toMatchObject({ position: 1, nextPartitions: undefined })
    expect(status?.partitions[0]?.epoch).toBeGreaterThan(1)
    // The number that it has: nothing changes but the log of who asked.
    await control.repartition('test', 1)
    expect((await control.status('test'))?.nextPartitions).toBe(undefined)
    const actions = (await listAudit(store.records, { limit: 20 })).map(({ action }) => action)
    expect(actions.sort()).toEqual([
      'subscription.pause',
      ...Array(3).fill('subscription.repartition'),
      ...['subscription.reset', 'subscription.resume'],
    ])
  })

  it('changes its number of partitions eight times in a row at most', async () => {
    const store = await openMemoryStore()
    const control = controlOf(store)
    const consumer = start(store)
    await append(store, 'a', { n: 1 })
    await consumer.reached(1, { timeoutMs: 2000 })
    await consumer.stop()
    const [found] = await store.records.get('subscription', ['test'])
    const value = found?.value as { earlier: unknown[] }
    const earlier = Array.from({ length: 8 }, () => ({ generation: 1, partitions: 1 }))
    await store.transaction((tx) =>
      tx.records.write([
        {
          ...{ kind: 'subscription', key: 'test', expected: found?.revision ?? 0 },
          value: { ...value, earlier } as never,
        },
      ]),
    )
    await expect(control.repartition('test', 5)).rejects.toMatchObject({ argument: 'partitions' })
  })

  it('goes with its letters in every state', async () => {
    const store = await openMemoryStore()
    const consumer = start(store)
    await until(() => consumer.state === 'live')
    await consumer.stop()
    await park(store, false, ...Array.from({ length: 1000 }, (_, n) => `a:${n + 1}`))
    const letters = lettersOf(store)
    const [first, second] = await letters.list({ limit: 2 })
    await letters.retry(first?.id ?? '')
    await letters.discard(second?.id ?? '', { reason: 'a test' })
    await park(store, false, 'b:2000', 'b:2001')
    await controlOf(store).drop('test', { actor: 'ada' })
    expect(await letters.list({ state: 'any' })).toEqual([])
    expect(await controlOf(store).names()).toEqual([])
    expect(await store.records.list({ kind: 'partition', limit: 1 })).toEqual([])
  })

  it('is of no use without a partition that its record speaks of', async () => {
    const store = await openMemoryStore()
    const consumer = start(store, { partitions: 2 })
    await until(() => consumer.state === 'live')
    await consumer.stop()
    const gone = { kind: 'partition', key: 'test/1/0001', expected: 'any' } as const
    await store.transaction((tx) => tx.records.write([gone]))
    await expect(controlOf(store).status('test')).rejects.toMatchObject({
      ...{ code: 'STORAGE_FAILED', cause: { message: expect.stringContaining('test/1/0001') } },
    })
  })

  it('has partitions as many as its record says, where that makes sense', () => {
    expect(partitionKeysOf('a/b', 2, 2)).toHaveLength(2)
    for (const [generation, count] of [
      ...[
        [0, 1],
        [1, 0],
        [1.5, 1],
        ['1', 1],
        [1, null],
        [1, 1_000_000],
      ],
      [undefined, undefined],
    ]) {
      expect(partitionKeysOf('a', generation, count)).toBe(undefined)
    }
  })
})
