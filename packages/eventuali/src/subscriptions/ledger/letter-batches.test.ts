import { describe, expect, it } from 'vitest'
import { append, optionsOf, runtimeOf, until } from '../../../test/harness/consumer-kit.ts'
import type { RecordedEvent } from '../../model/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { openMemoryStore } from '../../stores/memory/index.ts'
import { DeadLetters, listAudit, startConsumer, Worker } from '../index.ts'
import { newLetter } from './letters.ts'

// Changes of many dead letters at once.
const runtime = runtimeOf()
const lettersOf = (store: EventStore) => new DeadLetters(store, runtime, 5000)

/** Parks letters of a subscription: one for each `KEY:POSITION`. */
async function park(
  store: EventStore,
  subscription: string,
  ordered: boolean,
  places: readonly string[],
): Promise<void> {
  const changes = places.map((place) => {
    const [key = '', position = '1'] = place.split(':')
    const event = { position: Number(position), stream: key, version: 1, type: 'T', id: place }
    return newLetter(subscription, event as RecordedEvent, {
      ...{ key, ordered, reason: 'failed', attempts: 1, parkedAt: 5 },
      error: { name: 'Error', message: place, code: '' },
    })
  })
  await store.transaction((tx) => tx.records.write(changes))
}

async function placesIn(store: EventStore, state: 'parked' | 'requested' | 'discarded' | 'any') {
  const found = await lettersOf(store).list({ state, limit: 10_000 })
  return found.map(({ key, position }) => `${key}:${position}`).sort()
}

const numbered = (count: number, key: string) =>
  Array.from({ length: count }, (_, n) => `${key}:${n + 1}`)

describe('all dead letters of a subscription', () => {
  it('are given up at once, in pages, with a reason and a line in the audit for each', async () => {
    const store = await openMemoryStore()
    await park(store, 'test', true, [...numbered(700, 'a'), 'b:900', 'c:901'])
    await park(store, 'other', true, ['a:1'])
    const letters = lettersOf(store)
    const options = { reason: 'a bad import', actor: 'ada' }
    expect(await letters.discardAll('test', options)).toBe(702)
    expect(await placesIn(store, 'parked')).toEqual(['a:1'])
    expect(await placesIn(store, 'requested')).toEqual([])
    const [one] = await letters.list({ subscription: 'test', state: 'discarded', limit: 1 })
    expect(one).toMatchObject({ note: 'a bad import', finishedAt: expect.any(Date) })
    const audit = await listAudit(store.records, { limit: 9 })
    expect(audit.map(({ action, details }) => [action, details.letters])).toEqual([
      ['letter.discard-all', 500],
      ['letter.discard-all', 202],
    ])
    expect(audit[0]).toMatchObject({ actor: 'ada', subject: 'test' })
    expect(await letters.discardAll('test', options)).toBe(0)
    expect(await letters.discardAll('nobody', options)).toBe(0)
  })

  it('or of one key alone, and that key alone is handled again', async () => {
    const store = await openMemoryStore()
    await park(store, 'test', true, ['a:1', 'a:2', 'b:3', 'b:4'])
    const letters = lettersOf(store)
    expect(await letters.discardAll('test', { reason: 'gone', key: 'a' })).toBe(2)
    expect(await placesIn(store, 'parked')).toEqual(['b:3', 'b:4'])
    expect(await letters.retryAll('test', { key: 'a' })).toBe(0)
    expect(await letters.retryAll('test', { key: 'b' })).toBe(1)
    expect(await placesIn(store, 'requested')).toEqual(['b:3'])
    const [, retried] = await listAudit(store.records, { limit: 9 })
    expect(retried).toMatchObject({ details: { key: 'b', letters: 1 } })
  })

  it('what is parked behind them meanwhile goes on', async () => {
    const store = await openMemoryStore()
    await park(store, 'test', true, ['a:1', 'b:2'])
    // Between the look and the change somebody parks behind each of the keys.
    let isFirst = true
    const slow: EventStore = new Proxy(store, {
      get(target, name) {
        const value = Reflect.get(target, name)
        if (name !== 'transaction') return typeof value === 'function' ? value.bind(target) : value
        return async (...args: Parameters<EventStore['transaction']>) => {
          if (isFirst) await park(store, 'test', true, ['a:8', 'b:9'])
          isFirst = false
          return target.transaction(...args)
        }
      },
    })
    expect(await lettersOf(slow).discardAll('test', { reason: 'gone' })).toBe(2)
    expect(await placesIn(store, 'discarded')).toEqual(['a:1', 'b:2'])
    expect(await placesIn(store, 'requested')).toEqual(['a:8', 'b:9'])
  })

  it('stay as they are after an abort, and for bad input', async () => {
    const store = await openMemoryStore()
    await park(store, 'test', false, ['a:1'])
    const letters = lettersOf(store)
    const gone = { reason: 'gone', signal: AbortSignal.abort() }
    await expect(letters.discardAll('test', gone)).rejects.toThrow(/abort/i)
    for (const reason of ['', ' ', undefined, 7]) {
      const refused = letters.discardAll('test', { reason } as never)
      await expect(refused).rejects.toMatchObject({ argument: 'reason' })
    }
    for (const argument of ['key', 'signal']) {
      const options = { reason: 'gone', [argument]: 7 } as never
      await expect(letters.discardAll('test', options)).rejects.toMatchObject({ argument })
      await expect(letters.retryAll('test', options)).rejects.toMatchObject({ argument })
    }
    await expect(letters.retryAll(7 as never)).rejects.toMatchObject({ argument: 'subscription' })
    expect(await placesIn(store, 'parked')).toEqual(['a:1'])
  })

  it('let their keys go on, where a program runs the subscription', async () => {
    const store = await openMemoryStore()
    let isBroken = true
    const done: number[] = []
    const options = optionsOf({
      retry: { retryCountMax: 0, firstDelayMs: 1, delayMaxMs: 1 },
      handle: async ({ events }) => {
        if (isBroken) throw new Error('broken')
        done.push(...events.map(({ position }) => position))
      },
    })
    const consumer = startConsumer(store, new Worker(store, runtime), options, runtime)
    await append(store, 'a', { n: 1 })
    await append(store, 'a', { n: 2 })
    await until(async () => (await placesIn(store, 'parked')).length === 2)
    isBroken = false
    await lettersOf(store).discardAll('test', { reason: 'gone' })
    const [position] = await append(store, 'a', { n: 3 })
    await until(() => done.length === 1)
    expect(done).toEqual([position])
    await consumer.stop()
  })
})

describe('finished dead letters', () => {
  it('are removed once they are old enough, in pages; parked ones stay', async () => {
    const store = await openMemoryStore()
    await park(store, 'test', false, numbered(600, 'a'))
    await park(store, 'other', false, ['a:1', 'b:2'])
    const letters = lettersOf(store)
    await letters.discardAll('test', { reason: 'gone' })
    const [first] = await letters.list({ subscription: 'other' })
    await letters.discard(first?.id ?? '', { reason: 'gone' })
    const finishedAt = (await letters.get(first?.id ?? ''))?.finishedAt as Date
    // Exclusive, and it goes by when they were finished, not by when they were parked.
    expect(await letters.prune({ before: new Date(6) })).toBe(0)
    const later = new Date(finishedAt.getTime() + 60_000)
    expect(await letters.prune({ before: later, subscription: 'nobody' })).toBe(0)
    expect(await letters.prune({ before: later, subscription: 'test', actor: 'ada' })).toBe(600)
    expect(await letters.prune({ before: later })).toBe(1)
    expect(await placesIn(store, 'any')).toHaveLength(1)
    const audit = await listAudit(store.records, { limit: 99 })
    // Entries of one millisecond have no order of their own.
    const pruned = audit
      .filter(({ action }) => action === 'letter.prune')
      .sort((a, b) => Number(b.details.letters) - Number(a.details.letters))
    expect(pruned.map(({ subject, details }) => [subject, details.letters])).toEqual([
      ['test', 500],
      ['test', 100],
      ['', 1],
    ])
    expect(pruned[0]).toMatchObject({ actor: 'ada', details: { before: later.toISOString() } })
  })

  it('of earlier versions go by when they were parked', async () => {
    const store = await openMemoryStore()
    await park(store, 'test', false, ['a:1'])
    const [record] = await store.records.list({ kind: 'letter', limit: 1 })
    const done = { ...record, expected: record?.revision, state: 'done' } as never
    await store.transaction((tx) => tx.records.write([done]))
    expect(await lettersOf(store).prune({ before: new Date(5) })).toBe(0)
    expect(await lettersOf(store).prune({ before: new Date(6) })).toBe(1)
  })

  it('need a time and a name that are ones', async () => {
    const letters = lettersOf(await openMemoryStore())
    for (const before of [undefined, 5, new Date(Number.NaN)]) {
      const refused = letters.prune({ before } as never)
      await expect(refused).rejects.toMatchObject({ argument: 'before' })
    }
    for (const argument of ['subscription', 'signal']) {
      const refused = letters.prune({ before: new Date(), [argument]: 7 } as never)
      await expect(refused).rejects.toMatchObject({ argument })
    }
  })
})
