import assert from 'node:assert/strict'
import { decodeRow, type KeptRow } from '../../model/index.ts'
import type { StoredRecord, StoreView } from '../../ports/index.ts'
import { type EventStoreContext, law, pause } from './context.ts'
import type { ContractCase } from './contract.ts'
import { drain, fresh, freshStream, givenEvent, makeEvent, makeEvents } from './steps.ts'

const everything = Number.MAX_SAFE_INTEGER

const rowsOf = (ctx: EventStoreContext, view: StoreView): Promise<KeptRow[]> =>
  drain(view.rows({ after: ctx.start, upTo: everything }))

/** Of the kinds that the case made. */
async function recordsOf(view: StoreView, ...kinds: readonly string[]): Promise<StoredRecord[]> {
  return (await drain(view.records())).filter(({ kind }) => kinds.includes(kind))
}

/** The store as it stood at one moment. */
export const viewCases: readonly ContractCase<EventStoreContext>[] = [
  law(
    'view: shows the store as it stood, whatever happens meanwhile',
    async (ctx) => {
      const [stream, gone] = [freshStream(), freshStream()]
      const kind = fresh('kind')
      const write = (value: number) =>
        ctx.store.transaction((tx) =>
          tx.records.write([{ kind, key: 'k', expected: 'any', value }]),
        )
      await ctx.append(stream, 3)
      await ctx.append(gone, 2)
      await write(1)
      await ctx.settled()
      const before = await ctx.log()
      let later: Promise<unknown> = Promise.resolve()
      await ctx.store.view(async (view) => {
        later = Promise.all([ctx.append(stream, 1), ctx.change(gone, { kind: 'delete' }), write(2)])
        // Where there is one connection they wait until the view is over.
        await Promise.race([later, pause(ctx.store.capabilities.shared ? 10_000 : 20)])
        assert.deepEqual((await rowsOf(ctx, view)).map(decodeRow), before)
        assert.deepEqual(
          (await recordsOf(view, kind)).map(({ value }) => value),
          [1],
        )
        assert.equal(view.safe, before.at(-1)?.position)
        assert.equal(view.newest, view.safe)
      })
      await later
      assert.equal((await ctx.head(gone)).state, 'deleted')
    },
    'backup',
  ),

  law(
    'view: rows tell all that a log is made of',
    async (ctx) => {
      const [stream, other, once] = [freshStream(), freshStream(), freshStream()]
      const more = { tags: [fresh('k:')], metadata: { actor: 'ada' }, schemaVersion: 2 }
      await ctx.append(stream, [givenEvent('one', { text: 'Grüße 🚀' }, more)])
      await ctx.append(stream, [makeEvent({ data: 'x'.repeat(40_000) }), ...makeEvents(2)])
      for (const name of [other, once]) {
        await ctx.append(name, 1)
        await ctx.change(name, { kind: 'archive' })
        // The event that tells of the archive is gone then.
        await ctx.change(name, { kind: 'truncate', before: 3 })
      }
      await ctx.change(once, { kind: 'unarchive' })
      await ctx.change(once, { kind: 'truncate', before: 3 })
      await ctx.settled()
      await ctx.store.view(async (view) => {
        const rows = await rowsOf(ctx, view)
        assert.deepEqual(rows.map(decodeRow), await ctx.log({ includeArchived: true }))
        assert.deepEqual(
          rows.map(({ idGiven }) => idGiven),
          rows.map(({ id }) => id === 'one'),
        )
        assert.deepEqual(
          rows.map((row) => row.archived),
          [undefined, undefined, undefined, undefined, true, true, undefined, false],
        )
        const part = { after: rows[1]?.position as number, upTo: rows[3]?.position as number }
        assert.deepEqual(await drain(view.rows(part)), rows.slice(2, 4))
      })
    },
    'backup',
  ),

  law(
    'view: shows all records, by kind and key',
    async (ctx) => {
      const [first = '', second = ''] = [fresh('kind'), fresh('kind')].sort()
      const write = (kind: string, key: string, state?: string, due?: number) =>
        ({ kind, key, expected: 'any', value: { key }, state, due }) as const
      await ctx.store.transaction((tx) =>
        tx.records.write([write(second, 'a', 'parked', 1.5), write(first, 'b'), write(first, 'a')]),
      )
      await ctx.store.view(async (view) => {
        const common = { revision: 1, state: undefined, due: undefined }
        assert.deepEqual(await recordsOf(view, first, second), [
          { ...common, kind: first, key: 'a', value: { key: 'a' } },
          { ...common, kind: first, key: 'b', value: { key: 'b' } },
          { ...common, kind: second, key: 'a', value: { key: 'a' }, state: 'parked', due: 1.5 },
        ])
      })
    },
    'backup',
  ),

  law(
    'view: ends with what its work ends with, and in time',
    async (ctx) => {
      assert.equal(await ctx.store.view(async () => 7), 7)
      const failure = new Error('of the work')
      const failing = ctx.store.view(async () => {
        throw failure
      })
      await assert.rejects(failing, (error) => error === failure)
      const stop = new AbortController()
      const stopped = ctx.store.view(
        async (view) => {
          stop.abort(new Error('enough'))
          for await (const _ of view.rows({ after: 0, upTo: everything })) {
            // The signal is looked at between pages.
          }
          stop.signal.throwIfAborted()
        },
        { signal: stop.signal },
      )
      await assert.rejects(stopped, /enough/)
      await ctx.append(freshStream(), 1)
    },
    'backup',
  ),
]
