import { afterEach, describe, expect, it } from 'vitest'
import { defineEvents, type } from '../model/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { defineProcess, type ProcessDefinition } from './index.ts'
import { countsOf, Program, start, until, wallClock } from './saga.test-support.ts'

const events = defineEvents({
  Began: type<null>(),
  Went: type<{ far: number }>(),
  Noted: type<{ text: string }>(),
})
const programs: Program[] = []
afterEach(() => Promise.all(programs.splice(0).map((program) => program.stop())))

const base = {
  name: 'trip',
  after: 0,
  events: [events],
  correlate: ({ stream }: { readonly stream: string }) =>
    stream.startsWith('trip-') || stream.startsWith('note') ? undefined : stream,
  starts: ['Began'],
} as const

const first = defineProcess({
  ...base,
  initial: () => ({ sum: 0 }),
  on: {
    Began: () => undefined,
    Went: ({ sum }, { data }, ctx) => {
      ctx.append(`note-${ctx.key}`, events.Noted({ text: `old ${sum + data.far}` }))
      return { sum: sum + data.far }
    },
  },
})

const second = (migrates: boolean) =>
  defineProcess({
    ...base,
    version: 2,
    initial: () => ({ total: 0 }),
    on: {
      Began: () => undefined,
      Went: ({ total }, { data }, ctx) => {
        ctx.append(`note-${ctx.key}`, events.Noted({ text: `new ${total + data.far}` }))
        return { total: total + data.far }
      },
    },
    ...(migrates
      ? { migrate: ({ state }) => ({ total: (state as { readonly sum: number }).sum * 10 }) }
      : {}),
  })

const folded = (version: number, factor: number, more: object = {}) =>
  defineProcess({
    ...base,
    version,
    state: 'events',
    initial: () => ({ total: 0 }),
    on: {
      Began: () => undefined,
      Went: ({ total }, { data }, ctx) => {
        ctx.append(`note-${ctx.key}`, events.Noted({ text: `v${version} ${total}` }))
        return { total: total + data.far * factor }
      },
    },
    ...more,
  })

async function program(
  store: Awaited<ReturnType<typeof openMemoryStore>>,
  definitions: readonly ProcessDefinition[],
): Promise<Program> {
  const made = new Program(store, definitions, wallClock(start), { ttlMs: 100 })
  programs.push(made)
  await made.processes.start()
  return made
}

async function notes(store: Awaited<ReturnType<typeof openMemoryStore>>): Promise<string[]> {
  const pages = store.readLog({
    upTo: (await store.positions()).newest,
    types: ['Noted'],
    direction: 'forward',
  })
  return (await Array.fromAsync(pages)).flat().map(({ data }) => (data as { text: string }).text)
}

async function begun(definition: ProcessDefinition) {
  const store = await openMemoryStore()
  const old = await program(store, [definition])
  await old.append('a', [events.Began(null), events.Went({ far: 1 })])
  await old.rest()
  await old.stop()
  return store
}

describe('a running process whose definition changed', () => {
  it('goes on with the old one where that is registered too', async () => {
    const store = await begun(first)
    const next = await program(store, [second(false), first])
    await next.append('a', events.Went({ far: 2 }))
    await next.append('b', [events.Began(null), events.Went({ far: 5 })])
    await next.rest()
    expect((await notes(store)).sort()).toEqual(['new 5', 'old 1', 'old 3'])
    expect((await next.processes.get('trip', 'a'))?.version).toBe(1)
    expect((await next.processes.get('trip', 'b'))?.version).toBe(2)
  })

  it('is migrated by the function, also without an event', async () => {
    const store = await begun(first)
    const next = await program(store, [second(true)])
    await until(async () => (await next.processes.get('trip', 'a'))?.version === 2, 'migrated')
    expect((await next.processes.get('trip', 'a'))?.state).toEqual({ total: 10 })
    await next.append('a', events.Went({ far: 2 }))
    await next.rest()
    expect(await notes(store)).toEqual(['old 1', 'new 12'])
  })

  it('is stuck otherwise, visibly, and goes on by itself once its version is known', async () => {
    const store = await begun(first)
    const next = await program(store, [second(false)])
    await until(async () => (await next.processes.get('trip', 'a'))?.status === 'stuck', 'stuck')
    const info = await next.processes.get('trip', 'a')
    expect(info?.stuck?.cause).toEqual({ kind: 'version', version: 1 })
    expect(info?.reason).toMatch(/register that version beside 2/)
    await next.append('a', [events.Went({ far: 2 }), events.Went({ far: 3 })])
    await next.rest()
    expect(await next.processes.get('trip', 'a')).toMatchObject({ holdsEvents: true })
    await expect(next.processes.skip('trip', 'a')).rejects.toMatchObject({ code: 'PROCESS_STATE' })
    await next.stop()
    const both = await program(store, [second(false), first])
    await until(async () => (await notes(store)).length === 3, 'went on')
    expect(await notes(store)).toEqual(['old 1', 'old 3', 'old 6'])
    expect(await both.processes.get('trip', 'a')).toMatchObject({
      status: 'running',
      holdsEvents: false,
    })
  })

  it('is folded anew from its own events by refold', async () => {
    const store = await begun(folded(1, 1))
    const next = await program(store, [folded(2, 100, { migrate: 'refold' })])
    await next.append('a', events.Went({ far: 2 }))
    await next.rest()
    expect(await notes(store)).toEqual(['v1 0', 'v2 100'])
  })
})

describe('a handler that fails', () => {
  it('stops its process alone, and every event is there when it is mended', async () => {
    const store = await openMemoryStore()
    let isBroken = true
    const fragile = defineProcess({
      ...base,
      initial: () => ({ seen: [] as number[] }),
      on: {
        Began: () => undefined,
        Went: ({ seen }, { data }) => {
          if (isBroken && data.far === 2) throw new Error('no two')
          return { seen: [...seen, data.far] }
        },
      },
    })
    const one = await program(store, [fragile])
    await one.append('a', [events.Began(null), ...[1, 2, 3].map((far) => events.Went({ far }))])
    await one.append('b', [events.Began(null), events.Went({ far: 1 })])
    await one.rest()
    const stuck = await one.processes.get('trip', 'a')
    expect(stuck).toMatchObject({ status: 'stuck', state: { seen: [1] }, reason: 'no two' })
    expect(stuck?.stuck?.error.stack).toMatch(/versions.test/)
    expect((await one.processes.get('trip', 'b'))?.state).toEqual({ seen: [1] })
    await one.processes.resume('trip', 'a')
    await one.append('a', events.Went({ far: 4 }))
    await one.rest()
    expect(await one.processes.get('trip', 'a')).toMatchObject({ status: 'stuck' })
    isBroken = false
    await one.processes.resume('trip', 'a')
    await one.rest()
    expect((await one.processes.get('trip', 'a'))?.state).toEqual({ seen: [1, 2, 3, 4] })
  })

  it('may be skipped', async () => {
    const store = await openMemoryStore()
    const fragile = defineProcess({
      ...base,
      initial: () => ({ seen: [] as number[] }),
      on: {
        Began: () => undefined,
        Went: ({ seen }, { data }) => {
          if (data.far === 2) throw new Error('no two')
          return { seen: [...seen, data.far] }
        },
      },
    })
    const one = await program(store, [fragile])
    await one.append('a', [events.Began(null), ...[1, 2, 3].map((far) => events.Went({ far }))])
    await one.rest()
    await one.processes.skip('trip', 'a', { actor: 'ada', reason: 'two is bad' })
    await one.rest()
    expect(await one.processes.get('trip', 'a')).toMatchObject({
      status: 'running',
      state: { seen: [1, 3] },
    })
  })

  it('emits nothing, and what JSON does not carry is refused', async () => {
    const store = await openMemoryStore()
    const wrong = defineProcess({
      ...base,
      initial: () => ({ at: null as unknown }),
      on: {
        Began: (_state, _event, ctx) => {
          ctx.append('note-1', events.Noted({ text: 'never' }))
          return { at: new Date() }
        },
      },
    })
    const one = await program(store, [wrong])
    await one.append('a', events.Began(null))
    await one.rest()
    expect((await one.processes.get('trip', 'a'))?.reason).toMatch(/Date/)
    expect(await countsOf(store)).toEqual({ Began: 1 })
  })
})
