import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineEvents, event, type RecordedEvent, replacedBy, type } from '../model/index.ts'
import { openStore } from './index.ts'

const events = defineEvents({
  Placed: z.object({ total: z.number() }),
  Due: event(type<{ at: Date }>(), {
    codec: {
      encode: ({ at }) => ({ at: at.getTime() }),
      decode: ({ at }) => ({ at: new Date(at) }),
    },
  }),
})
const renamed = defineEvents({
  Ordered: event(type<{ total: number }>(), { formerly: ['Placed'] }),
})
const moved = defineEvents({
  Named: type<{ name: string }>(),
  Moved: event(type<{ city: string }>(), {
    version: 2,
    formerly: ['Changed', 'Pinged'],
    into: ['Named'],
    upcast: {
      1: ({ name, city }, stored) =>
        stored.type === 'Pinged'
          ? replacedBy([])
          : replacedBy([
              { type: 'Named', data: { name } },
              { type: 'Moved', data: { city }, version: 2 },
            ]),
    },
  }),
})

describe.each(['memory:', 'sqlite::memory:'])('reading from %s', (url) => {
  it('gives data decoded, of a stream and of the log', async () => {
    await using store = await openStore(url, { events: [events] })
    const at = new Date(5)
    await store.append('a-1', events.Due({ at }))
    expect((await store.readStream('a-1').toArray())[0]?.data).toEqual({ at })
    expect((await store.readAll().toArray())[0]?.data).toEqual({ at })
  })

  it('from beyond the end is empty, below what is kept an error', async () => {
    await using store = await openStore(url)
    for (let n = 0; n < 4; n++) await store.append('a-1', { type: 'A', data: { n } })
    expect(await store.readStream('a-1', { from: 9 }).toArray()).toEqual([])
    expect(await store.readStream('none', { from: 2 }).toArray()).toEqual([])
    await store.truncate('a-1', { before: 3 })
    const cut = store.readStream('a-1', { from: 2 }).toArray()
    await expect(cut).rejects.toMatchObject({ code: 'STREAM_TRUNCATED' })
    const kept = await store.readStream('a-1', { from: 3, to: 4 }).toArray()
    expect(kept.map(({ version }) => version)).toEqual([3, 4])
  })

  it('counts events as the reader sees them, under their new names', async () => {
    await using store = await openStore(url, { events: [renamed], unknown: 'allow' })
    for (let n = 0; n < 5; n++) await store.append('a-1', { type: 'Placed', data: { total: n } })
    const totals = async (limit: number | undefined) => {
      const found = await store.readAll({ types: ['Ordered'], limit }).toArray()
      return found.map(({ type: name, data }) => [name, (data as { total: number }).total])
    }
    expect(await totals(2)).toEqual([
      ['Ordered', 0],
      ['Ordered', 1],
    ])
    expect(await totals(undefined)).toHaveLength(5)
    expect(await totals(0)).toEqual([])
    const last = await store.readStream('a-1', { direction: 'backward', limit: 1 }).toArray()
    expect(last.map(({ type: name, version }) => [name, version])).toEqual([['Ordered', 5]])
  })

  it('gives what stands in the place of an event in its order', async () => {
    await using store = await openStore(url, { events: [moved], unknown: 'allow' })
    await store.append('a-1', [
      { type: 'Changed', data: { name: 'Ada', city: 'Rome' } },
      { type: 'Pinged', data: {} },
      { type: 'Changed', data: { name: 'Bob', city: 'Oslo' } },
    ])
    const told = ({ type: name, version, data }: RecordedEvent) =>
      `${version} ${name} ${Object.values(data as object)}`
    const all = ['1 Named Ada', '1 Moved Rome', '3 Named Bob', '3 Moved Oslo']
    expect((await store.readStream('a-1').toArray()).map(told)).toEqual(all)
    const back = await store.readAll({ direction: 'backward', limit: 3 }).toArray()
    expect(back.map(told)).toEqual(all.toReversed().slice(0, 3))
    const one: string[] = []
    for await (const found of store.readStream('a-1', { from: 2, to: 2 })) one.push(told(found))
    expect(one).toEqual([])
  })

  it('ends a loop at the end, or when it is left', async () => {
    await using store = await openStore(url)
    for (let n = 1; n <= 3; n++) await store.append('a-1', { type: 'A', data: { n } })
    const seen: number[] = []
    for await (const { version } of store.readStream('a-1')) seen.push(version)
    for await (const { version } of store.readAll()) {
      seen.push(version)
      if (version === 2) break
    }
    expect(seen).toEqual([1, 2, 3, 1, 2])
    const iterator = store.readAll()[Symbol.asyncIterator]()
    await iterator.next()
    const ended = { done: true, value: undefined }
    expect(await iterator.return?.()).toEqual(ended)
    const none = store.readStream('none')[Symbol.asyncIterator]()
    expect([await none.next(), await none.next()]).toEqual([ended, ended])
  })

  it('lists streams by what chooses some, and refuses what chooses none', async () => {
    await using store = await openStore(url)
    for (const name of ['a', 'a-1', 'a-b-1', 'ab-1']) {
      await store.append(name, { type: 'A', data: {} })
    }
    const names = async (options: object) =>
      (await store.streams(options).toArray()).map(({ stream }) => stream)
    expect(await names({ category: 'a' })).toEqual(['a', 'a-1', 'a-b-1'])
    expect(await names({ category: 'a-b' })).toEqual([])
    expect(await names({ category: 'a', limit: 0 })).toEqual([])
    const all: [string, object, string][] = [
      ['prefix', { prefix: 5 }, 'must be a string'],
      ['category', { category: 'a\ud800' }, 'holds a lone surrogate'],
      ['limit', { limit: -1 }, 'must be an integer of 0 or more'],
      ['limit', { limit: 0.5 }, 'must be an integer of 0 or more'],
    ]
    for (const [argument, options, reason] of all) {
      await expect(names(options)).rejects.toThrow(`${argument} ${reason}`)
    }
  })

  it('subscribes to events under their new names', async () => {
    await using store = await openStore(url, { events: [renamed], unknown: 'allow' })
    await store.append('a-1', [
      { type: 'Placed', data: { total: 1 } },
      { type: 'Other', data: {} },
      { type: 'Ordered', data: { total: 2 } },
    ])
    for (const filter of [{ type: 'Ordered' }, { types: ['Ordered'] }, {}]) {
      const seen: string[] = []
      await using _ = store.subscribe(filter, (found) => seen.push(found.type))
      const wanted = 'type' in filter || 'types' in filter ? 2 : 3
      await expect.poll(() => seen.length).toBe(wanted)
      expect(seen.filter((name) => name === 'Ordered')).toHaveLength(2)
    }
  })

  it('refuses options that are none', async () => {
    await using store = await openStore(url)
    const all: [string, object][] = [
      ['types', { types: 'A' }],
      ['types', { types: ['A', 1] }],
      ['tags', { tags: [null] }],
      ['tags', { tags: new Array(1) }],
      ['categories', { categories: {} }],
      ['limit', { limit: -1 }],
      ['after', { after: 0.5 }],
      ['direction', { direction: 'sideways' }],
    ]
    for (const [argument, options] of all) {
      const reading = async () => store.readAll(options as never).toArray()
      await expect(reading()).rejects.toMatchObject({ code: 'ARGUMENT_INVALID', argument })
    }
    for (const asOf of ['2026-01-01', new Date(Number.NaN), 5]) {
      const reading = async () => store.readStream('a-1', { asOf: asOf as never }).toArray()
      await expect(reading()).rejects.toThrow('asOf must be a valid Date')
    }
    const negative = store.readAll.bind(store, { limit: -1 })
    expect(negative).toThrow('limit must be an integer of 0 or more')
    for (const signal of [{}, { throwIfAborted: () => {} }, 'now', null]) {
      const reading = async () => store.readAll({ signal: signal as never }).toArray()
      await expect(reading()).rejects.toThrow('signal must be an AbortSignal')
    }
    for (const fresh of [5, { position: -1 }, 'soon']) {
      const reading = async () => store.readAll({ fresh: fresh as never }).toArray()
      await expect(reading()).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    }
  })
})

it('reads with the filter that it was given, whatever becomes of the list', async () => {
  await using store = await openStore('sqlite::memory:')
  await store.append('a-1', { type: 'A', data: {}, tags: ['x'] })
  const tags = ['x']
  const reading = store.readAll({ tags })
  tags[0] = 7 as never
  expect(await reading.toArray()).toHaveLength(1)
})

describe('reading what somebody else has written', () => {
  it('checks it when it is asked to, and only then', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventuali-reading-'))
    const url = `sqlite:${join(folder, 'log.db')}`
    try {
      await using other = await openStore(url)
      await other.append('a-1', { type: 'Placed', data: { total: 'much' } })
      await using store = await openStore(url, { events: [events] })
      expect((await store.readStream('a-1').toArray())[0]?.data).toEqual({ total: 'much' })
      expect((await store.readAll().toArray())[0]?.data).toEqual({ total: 'much' })
      for (const reading of [
        () => store.readStream('a-1', { validate: true }).toArray(),
        () => store.readAll({ validate: true }).toArray(),
      ]) {
        await expect(reading()).rejects.toMatchObject({ code: 'EVENT_INVALID' })
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
