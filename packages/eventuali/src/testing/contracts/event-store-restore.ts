import assert from 'node:assert/strict'
import { type KeptRow, systemEventTypes } from '../../model/index.ts'
import type { RestoreRequest } from '../../ports/index.ts'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import { fresh, freshStream, givenEvent, numbers, rejectsWith, rolledBack } from './steps.ts'

const TIME = 1_600_000_000_000

/** A row with everything filled in. */
function keptRow(stream: string, version: number, position: number, over: Partial<KeptRow> = {}) {
  const row: KeptRow = {
    ...{ stream, version, position, id: fresh('id'), idGiven: false, type: 'ThingHappened' },
    ...{ data: `{"n":${version}}`, metadata: '', time: TIME + version, recordedAt: TIME + 500 },
    ...{ schemaVersion: 1, tagsText: '', checksum: undefined },
    ...over,
  }
  return row
}

/** Rows of one stream after another, from a position on: `[stream, version, type, over]`. */
function rowsFrom(
  position: number,
  parts: readonly (readonly [string, number, (string | undefined)?, Partial<KeptRow>?])[],
): KeptRow[] {
  return parts.map(([stream, version, type, over], n) =>
    keptRow(stream, version, position + n, type === undefined ? over : { type, ...over }),
  )
}

const put = (ctx: EventStoreContext, request: Partial<RestoreRequest>): Promise<void> =>
  ctx.store.transaction((tx) => tx.restore({ rows: [], last: true, ...request }))

const { archived, unarchived, truncated, deleted } = systemEventTypes
const cut = (before: number, over: Partial<KeptRow> = {}) => ({
  data: `{"before":${before}}`,
  ...over,
})

/** A log that is put back into a store. */
export const restoreCases: readonly ContractCase<EventStoreContext>[] = [
  law(
    'restore: puts events back where and as they were',
    async (ctx) => {
      const [stream, tag, id] = [freshStream(), fresh('k:'), fresh('given')]
      const first = (await ctx.settled()) + 3
      const metadata = '{"actor":"ada","tenant":"acme"}'
      const full = { id, idGiven: true, schemaVersion: 3, metadata, tagsText: `["${tag}","k:ü"]` }
      const rows = [
        keptRow(stream, 1, first, { ...full, data: '{"n":1,"text":"Grüße 🚀"}' }),
        keptRow(stream, 2, first + 4),
      ]
      await put(ctx, { rows })
      const [one, two] = await ctx.read(stream)
      assert.deepEqual(one, {
        ...{ stream, version: 1, position: first, id, type: 'ThingHappened' },
        ...{ data: { n: 1, text: 'Grüße 🚀' }, metadata: { actor: 'ada', tenant: 'acme' } },
        ...{ time: new Date(TIME + 1), recordedAt: new Date(TIME + 500) },
        ...{ schemaVersion: 3, tags: [tag, 'k:ü'] },
      })
      assert.equal(two?.position, first + 4)
      assert.deepEqual(await ctx.readLog({ tags: [tag] }), [one])
      assert.deepEqual(await ctx.readLog({ after: first - 1 }), [one, two])
      const again = await ctx.append(stream, [givenEvent(id, { n: 1, text: 'Grüße 🚀' })])
      assert.ok(again.duplicate !== undefined, 'a given id is known')
    },
    'backup',
  ),

  law(
    'restore: numbers go on above what was put back',
    async (ctx) => {
      const stream = freshStream()
      const first = (await ctx.settled()) + 1
      const upTo = first + 20
      await put(ctx, { rows: [keptRow(stream, 5, first)], upTo })
      const { version, firstVersion, count } = await ctx.head(stream)
      assert.deepEqual({ version, firstVersion, count }, { version: 5, firstVersion: 5, count: 1 })
      const appended = await ctx.append(stream, 1)
      assert.equal(appended.version, 6)
      assert.ok((appended.positions[0] as number) > upTo, `${appended.positions} after ${upTo}`)
      assert.deepEqual(numbers(await ctx.readLog({ after: first - 1 })), [5, 1])
    },
    'backup',
  ),

  law(
    'restore: streams have the state that they had',
    async (ctx) => {
      const [a, b, c, d, e] = Array.from({ length: 5 }, () => freshStream()) as [
        string,
        ...string[],
      ]
      const [arch = '', kept = '', open = '', gone = '', again = ''] = [a, b, c, d, e]
      const rows = rowsFrom((await ctx.settled()) + 1, [
        ...([
          [arch, 1],
          [arch, 2, archived],
        ] as const),
        ...([[kept, 4, truncated, cut(4, { archived: true })]] as const),
        ...([
          [open, 1],
          [open, 2, archived],
          [open, 3, unarchived],
        ] as const),
        ...([[open, 4, truncated, cut(2, { archived: false })]] as const),
        ...([
          [gone, 1],
          [gone, 2, deleted],
        ] as const),
        ...([
          [again, 1],
          [again, 2, deleted],
          [again, 3],
        ] as const),
      ])
      await put(ctx, { rows })
      const heads = await Promise.all([arch, kept, open, gone, again].map((s) => ctx.head(s)))
      assert.deepEqual(
        heads.map(({ state, firstVersion, version }) => [state, firstVersion, version]),
        [
          ['archived', 1, 2],
          ['archived', 4, 4],
          ['active', 2, 4],
          ['deleted', 2, 2],
          ['active', 2, 3],
        ],
      )
      assert.deepEqual(numbers((await ctx.read(again)).slice(1)), [3])
    },
    'backup',
  ),

  law(
    'restore: a later part removes what its events removed',
    async (ctx) => {
      const [shorter, gone, hole] = [freshStream(), freshStream(), freshStream()]
      const tag = fresh('k:')
      const tagged = { tagsText: `["${tag}"]` }
      const first = (await ctx.settled()) + 1
      const all = [shorter, gone, hole].flatMap((stream) =>
        [1, 2, 3].map((version) => [stream, version, undefined, tagged] as const),
      )
      await put(ctx, { rows: rowsFrom(first, all) })
      const later = rowsFrom(first + 20, [
        ...([
          [shorter, 4, truncated, cut(3)],
          [gone, 4, deleted],
        ] as const),
        [hole, 6, undefined, tagged],
      ])
      await put(ctx, { rows: later })
      const left = await Promise.all([shorter, gone, hole].map((stream) => ctx.read(stream)))
      assert.deepEqual(
        left.map((events) => events.map(({ version }) => version)),
        [[3, 4], [4], [6]],
      )
      assert.deepEqual(numbers(await ctx.readLog({ tags: [tag] })), [3, 6])
      assert.equal((await ctx.head(gone)).state, 'deleted')
    },
    'backup',
  ),

  law(
    'restore: refuses rows that cannot follow, and is undone with its transaction',
    async (ctx) => {
      const stream = freshStream()
      const { positions } = await ctx.append(stream, 2)
      const newest = Math.max(await ctx.settled(), positions[1] as number)
      const wrong = [keptRow(freshStream(), 1, newest), keptRow(stream, 2, newest + 1)]
      for (const row of wrong) {
        await rejectsWith('ARGUMENT_INVALID', () => put(ctx, { rows: [row] }))
      }
      const rows = [keptRow(stream, 3, newest + 1)]
      await rolledBack(ctx.store, (tx) => tx.restore({ rows, last: true }))
      assert.deepEqual(numbers(await ctx.read(stream)), [1, 2])
      assert.equal((await ctx.head(stream)).version, 2)
    },
    'backup',
  ),

  law(
    'restore: nobody opens the store before the last part',
    async (ctx) => {
      const stream = freshStream()
      const first = (await ctx.settled()) + 1
      await put(ctx, { rows: [keptRow(stream, 1, first)], last: false })
      await rejectsWith('RESTORE_UNFINISHED', () => ctx.openAgain())
      await put(ctx, { rows: [keptRow(stream, 2, first + 1)] })
      const other = await ctx.openAgain()
      assert.equal((await other.stream(stream))?.version, 2)
    },
    ...(['backup', 'shared'] as const),
  ),
]
