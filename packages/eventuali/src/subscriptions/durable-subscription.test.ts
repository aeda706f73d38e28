import { describe, expect, it } from 'vitest'
import { append, runtimeOf, until } from '../../test/harness/consumer-kit.ts'
import type { RecordedEvent } from '../model/index.ts'
import type { EventStore, StoreTransaction } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { type DurableHandler, type DurableOptions, DurableSubscription, Worker } from './index.ts'

function subscribe(
  store: EventStore,
  options: Partial<DurableOptions> = {},
  handler?: DurableHandler<RecordedEvent, StoreTransaction>,
): DurableSubscription {
  const runtime = runtimeOf()
  const quick = { retry: { retryCountMax: 1, firstDelayMs: 1 }, pollIntervalMs: 20 }
  return new DurableSubscription<RecordedEvent, StoreTransaction>(
    store,
    new Worker(store, runtime),
    { name: 'test', ...quick, ...options },
    handler,
    { ...runtime, map: (events) => events, wrap: (tx) => tx, timeoutMs: 5000, onEnd: () => {} },
  )
}

describe('DurableSubscription', () => {
  it('hands over one event at a time and goes on where it was', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', { n: 1 }, { n: 2 })
    const seen: number[] = []
    const handler = (event: RecordedEvent) => seen.push(event.position)
    const first = subscribe(store, {}, handler)
    await first.reached(2, { timeoutMs: 1000 })
    await first.stop()
    expect(first.state).toBe('stopped')
    await first.done
    await append(store, 'a-1', { n: 3 })
    const second = subscribe(store, {}, handler)
    await until(() => seen.length === 3)
    await second.stop()
    expect(seen).toEqual([1, 2, 3])
  })

  it('hands a single-event handler over only what was not done when it fails', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', { n: 1 }, { n: 2 }, { n: 3 })
    const seen: string[] = []
    let failed = false
    const subscription = subscribe(store, {}, (event, { attempt }) => {
      seen.push(`${event.position}/${attempt}`)
      if (event.position !== 2 || failed) return
      failed = true
      throw new Error('once')
    })
    await until(() => subscription.position === 3)
    expect(seen).toEqual(['1/0', '2/0', '2/0', '3/0'])
    await subscription.stop()
  })

  it('gives the handler the transaction of the checkpoint', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', { n: 1 })
    const subscription = subscribe(store, { transactional: true }, async ({ position }, { tx }) => {
      await tx?.records.write([{ kind: 'effect', key: 'x', expected: 0, value: position }])
    })
    await subscription.reached(1, { timeoutMs: 1000 })
    expect((await store.records.get('effect', ['x']))[0]?.value).toBe(1)
    await subscription.stop()
    expect(() => subscribe(store, { transactional: true })).toThrow(/handler/)
  })

  it('is a loop without a handler; the last event of a broken loop comes again', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', { n: 1 }, { n: 2 }, { n: 3 })
    const seen: number[] = []
    const first = subscribe(store)
    for await (const { position } of first) {
      seen.push(position)
      if (position === 2) break
    }
    expect(first.state).toBe('stopped')
    const abort = new AbortController()
    for await (const { position } of subscribe(store, { signal: abort.signal })) {
      seen.push(position)
      if (position === 3) abort.abort()
    }
    expect(seen).toEqual([1, 2, 2, 3])
  })

  it('stands by while another program has it, and shares a group', async () => {
    const store = await openMemoryStore()
    const one = subscribe(store, {}, () => {})
    await until(() => one.state === 'live')
    const two = subscribe(store, {}, () => {})
    await until(() => two.state === 'standby')
    await Promise.all([one.stop(), two.stop()])
    const seen: string[] = []
    const group = { name: 'group', group: { partitions: 4 } }
    const members = ['x', 'y'].map((who) => subscribe(store, group, () => seen.push(who)))
    const count = (member = members[0]) =>
      new Set(member?.partitions().map(({ owner }) => owner ?? '-')).size
    await until(() => members.every((member) => count(member) === 2))
    for (let i = 0; i < 50; i++) await append(store, `s-${i}`, { n: i })
    await until(() => seen.length === 50)
    expect(new Set(seen).size).toBe(2)
    await Promise.all(members.map((member) => member.stop()))
  })

  it('with a handler is no loop, even where it never began', async () => {
    const store = await openMemoryStore()
    const subscription = subscribe(store, { signal: AbortSignal.abort() }, () => {})
    const loop = async () => {
      for await (const _ of subscription) break
    }
    await expect(loop()).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  })

  it('starts with what comes, when it is told so', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', { n: 1 })
    const seen: number[] = []
    const subscription = subscribe(store, { after: 'end', category: 'a' }, ({ position }) =>
      seen.push(position),
    )
    await until(() => subscription.state === 'live')
    await append(store, 'b-1', { n: 2 })
    await append(store, 'a-1', { n: 3 })
    await until(() => seen.length === 1)
    expect(seen).toEqual([3])
    await subscription.stop()
  })

  it.each([
    ['group', 'shared'],
    ['group', null],
    ['group', 3],
    ['group.by', { by: 'tag:course' }],
    ['group.by', { by: 5 }],
  ])('refuses what is no %s: %j', async (argument, group) => {
    const store = await openMemoryStore()
    const refused = expect.objectContaining({ code: 'ARGUMENT_INVALID', argument })
    expect(() => subscribe(store, { group: group as never }, () => {})).toThrow(refused)
    expect(await store.records.list({ kind: 'subscription', limit: 1 })).toEqual([])
  })
})
