import { expect, it } from 'vitest'
import { openMemoryStore } from '../stores/memory/index.ts'
import { wrapStore } from '../testing/index.ts'
import { collectionOver, WorkingSet } from './working-set.ts'

interface Hit {
  readonly n: number
}

/** The collection of a run whose reads end when they are let go. */
async function withSlowReads(
  locking: boolean,
  work: (hits: ReturnType<typeof collectionOver<Hit>>, letGo: () => void) => Promise<void>,
) {
  const gate = Promise.withResolvers<void>()
  const locked: string[] = []
  const port = wrapStore(await openMemoryStore(), {
    models: {
      get: async (next, ...args) => {
        await gate.promise
        return next.get(...args)
      },
      lock: (next, table, keys, options) => {
        locked.push(...keys)
        return next.lock(table, keys, options)
      },
    },
  })
  await port.transaction(async ({ models }) => {
    await models.create({ name: 't', shape: { kind: 'documents', indexes: [] } })
    await models.put('t', [{ key: 'a', value: { n: 1 }, position: 1 }])
    const state = { position: 2, ended: false }
    const set = new WorkingSet(models, 't', state, { locking, beforeWrite: () => {} })
    await work(collectionOver<Hit>(set), () => gate.resolve())
    await set.flush()
  })
  return { port, locked }
}

it('a document that a handler writes while it is read is as the handler wrote it', async () => {
  const { port } = await withSlowReads(false, async (hits, letGo) => {
    const reading = hits.get('a')
    await hits.put('a', { n: 5 })
    letGo()
    expect(await reading).toEqual({ n: 5 })
    expect(await hits.patch('a', (was) => ({ n: (was?.n ?? 0) + 1 }))).toEqual({ n: 6 })
  })
  expect((await port.models.get('t', ['a']))[0]?.value).toEqual({ n: 6 })
})

it('a document that is read again while it is read is locked once', async () => {
  const { locked } = await withSlowReads(true, async (hits, letGo) => {
    const first = hits.get('a')
    await new Promise((resolve) => setImmediate(resolve))
    const second = hits.get('a')
    letGo()
    expect(await Promise.all([first, second])).toEqual([{ n: 1 }, { n: 1 }])
  })
  expect(locked).toEqual(['a'])
})
