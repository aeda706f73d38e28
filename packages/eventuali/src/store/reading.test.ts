import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineEvents, event, type } from '../model/index.ts'
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
