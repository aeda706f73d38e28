import { describe, expect, it } from 'vitest'
import { describeStores } from '../../test/harness/adapter-stores.ts'
import {
  type Json,
  type RecordedEvent,
  ReplayTargetError,
  systemEventTypes,
} from '../model/index.ts'
import type { EventStore, NewEvent, StreamChange } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { withFault } from '../testing/index.ts'
import { replay } from './index.ts'

let count = 0

function newEvent(type: string, data: Json = { n: ++count }): NewEvent {
  const metadata = { correlationId: `c-${++count}` }
  const shared = { id: `id-${count}`, idGiven: false, metadata, schemaVersion: 2 }
  return { ...shared, type, data, time: count * 1000, tags: ['shop:eu'] }
}

async function append(
  store: EventStore,
  stream: string,
  events: readonly NewEvent[],
  change?: StreamChange,
): Promise<void> {
  const entry = { stream, expectedVersion: 'any', events, ...(change && { change }) } as const
  expect((await store.append({ entries: [entry] })).ok).toBe(true)
}

/** Interleaved streams, one of them archived, one archived and open again. */
async function fill(store: EventStore): Promise<void> {
  for (let i = 0; i < 4; i++) {
    for (const stream of ['order-1', 'order-2', 'ledger']) {
      await append(store, stream, [newEvent('Placed'), newEvent('Paid')])
    }
  }
  const archive = { kind: 'archive' } as const
  await append(store, 'order-1', [newEvent(systemEventTypes.archived, {})], archive)
  await append(store, 'order-2', [newEvent(systemEventTypes.archived, {})], archive)
  await append(store, 'order-2', [newEvent(systemEventTypes.unarchived, {})], { kind: 'unarchive' })
  await append(store, 'order-2', [newEvent('Placed')])
}

async function logOf(store: EventStore): Promise<unknown[]> {
  const { safe } = await store.positions()
  const log: RecordedEvent[] = []
  const query = { direction: 'forward', upTo: safe, includeArchived: true } as const
  for await (const page of store.readLog(query)) log.push(...page)
  // Positions and the time of recording are the store's own; all else is kept.
  return log.map(({ position, recordedAt, ...kept }) => kept)
}

const memory = () => openMemoryStore()

describeStores('replay into another store', ({ adapter, open }) => {
  // A fresh database costs more than the run: there only every third fault is tried.
  const pairs = [
    { way: 'to memory', from: open, to: memory, stride: 1 },
    { way: 'from memory', from: memory, to: open, stride: adapter === 'postgres' ? 3 : 1 },
  ]
  describe.each(pairs)('$way', ({ from, to, stride }) => {
    it('makes the same log, and stores nothing twice', async () => {
      const [source, target] = [await from(), await to()]
      await fill(source)
      const first = await replay(source, { into: { store: target } })
      expect(first).toMatchObject({ events: 28, duplicates: 0 })
      expect(await logOf(target)).toEqual(await logOf(source))
      expect((await target.stream('order-1'))?.state).toBe('archived')
      const second = await replay(source, { into: { store: target } })
      expect(second).toMatchObject({ events: 28, duplicates: 28 })
      expect(await logOf(target)).toEqual(await logOf(source))
      await Promise.all([source.close(), target.close()])
    })

    it.each(['keep', 'renumber'] as const)(
      'resumes wherever it breaks off (%s)',
      async (versions) => {
        const source = await from()
        await fill(source)
        const rate = { ratePerSecond: 10_000_000 }
        let at = 0
        for (; ; at += stride) {
          const inner = await to()
          const when = at % 2 === 0 ? 'before' : 'after'
          const plan = { at: at >> 2, when, error: () => new Error('crash') } as const
          const target = withFault(inner, plan)
          const isNamed = (at & 2) === 0
          const run = (store: EventStore, upTo?: number) =>
            replay(source, {
              into: { store, versions },
              upTo,
              ...rate,
              ...(isNamed ? { resume: { name: 'copy' } } : {}),
            })
          // Two steps, so that the second page meets a target that has a part already.
          const steps = async (store: EventStore) => {
            await run(store, 7)
            await run(store)
          }
          await steps(target.store).catch(() => {})
          if (target.fired()) await steps(inner)
          const log = (await logOf(inner)) as RecordedEvent[]
          const expected = (await logOf(source)) as RecordedEvent[]
          if (versions === 'keep') expect(log).toEqual(expected)
          else {
            const wanted = expected.filter(({ type }) => !type.startsWith('$'))
            expect(log.map(({ id }) => id)).toEqual(wanted.map(({ id }) => id))
          }
          await inner.close()
          if (!target.fired() && at % 4 === 3) break
        }
        expect(at).toBeGreaterThan(6)
        await source.close()
      },
    )

    it('refuses a target whose streams differ', async () => {
      const source = await from()
      await fill(source)
      for (const spoil of [
        (target: EventStore) => append(target, 'order-2', [newEvent('Placed')]),
        async (target: EventStore) => {
          await replay(source, { into: { store: target }, upTo: 3 })
          await append(target, 'order-1', [newEvent('Another')])
        },
        async (target: EventStore) => {
          const filter = { types: ['Paid'] }
          await replay(source, { into: { store: target, versions: 'renumber' }, filter })
        },
      ]) {
        const target = await to()
        await spoil(target)
        const before = await logOf(target)
        const run = replay(source, { into: { store: target }, resume: { name: 'copy' } })
        await expect(run).rejects.toThrow(ReplayTargetError)
        expect(await logOf(target)).toEqual(before)
        await target.close()
      }
      await source.close()
    })

    it('refuses a part of a stream, unless the target may count by itself', async () => {
      const [source, target] = [await from(), await to()]
      await fill(source)
      const filter = { types: ['Paid'] }
      const run = replay(source, { filter, into: { store: target } })
      await expect(run).rejects.toThrow(ReplayTargetError)
      expect(await logOf(target)).toEqual([])
      const into = { store: target, versions: 'renumber' } as const
      expect(await replay(source, { filter, into })).toMatchObject({ events: 12, duplicates: 0 })
      expect((await target.stream('order-1'))?.version).toBe(4)
      expect(await replay(source, { into })).toMatchObject({ duplicates: 12 })
      await Promise.all([source.close(), target.close()])
    })

    it('goes on with a stream whose deletion it replayed, not with a removed past', async () => {
      const [source, target] = [await from(), await to()]
      await append(source, 'a-1', [newEvent('Placed')])
      await replay(source, { into: { store: target } })
      await append(source, 'a-1', [newEvent(systemEventTypes.deleted, {})], { kind: 'delete' })
      const entry = { stream: 'a-1', expectedVersion: 'any', recreate: true } as const
      await source.append({ entries: [{ ...entry, events: [newEvent('Placed')] }] })
      const behind = { from: { position: 1 } }
      expect(await replay(source, { ...behind, into: { store: target } })).toMatchObject({
        events: 2,
      })
      expect(await logOf(target)).toEqual(await logOf(source))
      const empty = await to()
      const run = replay(source, { into: { store: empty } })
      await expect(run).rejects.toThrow('the stream is at version 0 there')
      await Promise.all([source.close(), target.close(), empty.close()])
    })
  })
})
