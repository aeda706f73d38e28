import assert from 'node:assert/strict'
import type {
  AppendOutcome,
  AppendRequest,
  EventStore,
  InlineProjection,
  StreamAccess,
} from '../../ports/index.ts'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import {
  counting,
  fresh,
  freshStream,
  givenEvent,
  makeEvent,
  refused,
  rolledBack,
  succeeded,
} from './steps.ts'

function register(store: EventStore, projection: InlineProjection): Promise<void> {
  return store.transaction((tx) => tx.inline.register(projection))
}

/**
 * Registers a projection of a type that nothing else has, and takes it off the list at the end:
 * the store may serve other cases.
 */
async function guarded(
  ctx: EventStoreContext,
  work: (projection: InlineProjection) => Promise<void>,
): Promise<void> {
  const projection: InlineProjection = { name: fresh('p'), version: 2, types: [fresh('Guarded')] }
  await register(ctx.store, projection)
  try {
    await work(projection)
  } finally {
    await ctx.store.transaction((tx) => tx.inline.unregister(projection.name))
  }
}

function appendOf(
  access: StreamAccess,
  type: string,
  over: Partial<AppendRequest> & { readonly stream?: string } = {},
): Promise<AppendOutcome> {
  const { stream = freshStream(), ...rest } = over
  const events = [makeEvent(), makeEvent({ type })]
  return access.append({ entries: [{ stream, expectedVersion: 'any', events }], ...rest })
}

function typeOf({ types }: InlineProjection): string {
  return types[0] as string
}

async function namesOf(store: EventStore, among: readonly InlineProjection[]): Promise<string[]> {
  const listed = await store.inlineProjections()
  return listed.map(({ name }) => name).filter((name) => among.some((one) => one.name === name))
}

/** The list itself. */
const listCases: readonly ContractCase<EventStoreContext>[] = [
  law('inline: a registered projection is on the list until it is taken off', async (ctx) => {
    let kept: InlineProjection | undefined
    await guarded(ctx, async (projection) => {
      kept = projection
      const isIt = ({ name }: InlineProjection) => name === projection.name
      assert.deepEqual((await ctx.store.inlineProjections()).find(isIt), projection)
      await ctx.store.transaction(async (tx) => {
        assert.deepEqual((await tx.inline.list()).find(isIt), projection)
      })
      const next = { ...projection, version: 3, types: ['A', typeOf(projection)] }
      await register(ctx.store, next)
      assert.deepEqual((await ctx.store.inlineProjections()).filter(isIt), [next])
    })
    assert.deepEqual(await namesOf(ctx.store, [kept as InlineProjection]), [])
    succeeded(await appendOf(ctx.store, typeOf(kept as InlineProjection)))
  }),

  law('inline: taking off what is not on the list does nothing', async (ctx) => {
    await guarded(ctx, async (projection) => {
      await ctx.store.transaction((tx) => tx.inline.unregister(fresh('p')))
      refused(await appendOf(ctx.store, typeOf(projection)), 'projection-missing')
    })
  }),

  law('inline: a registration that is rolled back is none', async (ctx) => {
    const projection = { name: fresh('p'), version: 1, types: [fresh('Guarded')] }
    await rolledBack(ctx.store, (tx) => tx.inline.register(projection))
    assert.deepEqual(await namesOf(ctx.store, [projection]), [])
    succeeded(await appendOf(ctx.store, typeOf(projection)))
    await guarded(ctx, async (other) => {
      await rolledBack(ctx.store, (tx) => tx.inline.unregister(other.name))
      assert.deepEqual(await namesOf(ctx.store, [other]), [other.name])
      refused(await appendOf(ctx.store, typeOf(other)), 'projection-missing')
    })
  }),
]

/** What the store refuses. */
const guardCases: readonly ContractCase<EventStoreContext>[] = [
  law('inline: an append by one who does not run it is refused', async (ctx) => {
    await guarded(ctx, async (projection) => {
      const stream = freshStream()
      const outcome = await appendOf(ctx.store, typeOf(projection), { stream })
      assert.deepEqual(refused(outcome, 'projection-missing').projections, [projection])
      assert.equal(await ctx.info(stream), undefined)
      assert.equal((await ctx.log()).length, 0)
      succeeded(await ctx.try(stream, 1))
    })
  }),

  law('inline: an append of other types is not touched', async (ctx) => {
    await guarded(ctx, async ({ types }) => {
      succeeded(await ctx.try(freshStream(), 3))
      const similar = `${types[0]}Not`
      succeeded(await appendOf(ctx.store, similar))
      const stream = freshStream()
      await ctx.append(stream, 2)
      await ctx.change(stream, { kind: 'archive' })
    })
  }),

  law('inline: a transaction that names it appends, one that does not is refused', async (ctx) => {
    await guarded(ctx, async (projection) => {
      const type = typeOf(projection)
      const stream = freshStream()
      await ctx.store.transaction(async (tx) => {
        succeeded(await appendOf(tx, type, { stream, inline: [projection] }))
      })
      assert.equal((await ctx.head(stream)).version, 2)
      await ctx.store.transaction(async (tx) => {
        refused(await appendOf(tx, type), 'projection-missing')
        refused(await appendOf(tx, type, { inline: [] }), 'projection-missing')
        const inline = [{ name: fresh('p'), version: projection.version }]
        refused(await appendOf(tx, type, { inline }), 'projection-missing')
      })
    })
  }),

  law('inline: another version of it does not count', async (ctx) => {
    await guarded(ctx, async (projection) => {
      await ctx.store.transaction(async (tx) => {
        for (const version of [1, 3, 22]) {
          const inline = [{ name: projection.name, version }]
          refused(await appendOf(tx, typeOf(projection), { inline }), 'projection-missing')
        }
      })
    })
  }),

  law('inline: a name counts for its own append only', async (ctx) => {
    await guarded(ctx, async (projection) => {
      const type = typeOf(projection)
      const admitted = freshStream()
      await ctx.store.transaction(async (tx) => {
        succeeded(await appendOf(tx, type, { stream: admitted, inline: [projection] }))
        refused(await appendOf(tx, type), 'projection-missing')
      })
      refused(await appendOf(ctx.store, type), 'projection-missing')
      assert.equal((await ctx.head(admitted)).version, 2)
    })
  }),

  law('inline: after a refusal the transaction goes on', async (ctx) => {
    await guarded(ctx, async (projection) => {
      const [before, after] = [freshStream(), freshStream()]
      await ctx.store.transaction(async (tx) => {
        await ctx.on(tx).append(before, 1)
        refused(await appendOf(tx, typeOf(projection), { stream: after }), 'projection-missing')
        await ctx.on(tx).append(after, 1)
      })
      assert.equal((await ctx.head(before)).version, 1)
      assert.equal((await ctx.head(after)).version, 1)
    })
  }),

  law('inline: of several, those are told that handle a type and are not run', async (ctx) => {
    await guarded(ctx, async (first) => {
      await guarded(ctx, async (second) => {
        await guarded(ctx, async (third) => {
          const events = [first, second].map((one) => makeEvent({ type: typeOf(one) }))
          const entries = [{ stream: freshStream(), expectedVersion: 'any' as const, events }]
          await ctx.store.transaction(async (tx) => {
            const names = async (inline: readonly InlineProjection[]) => {
              const refusal = refused(await tx.append({ entries, inline }), 'projection-missing')
              return refusal.projections.map(({ name }) => name).sort()
            }
            assert.deepEqual(await names([third]), [first.name, second.name].sort())
            assert.deepEqual(await names([first]), [second.name])
            succeeded(await tx.append({ entries, inline: [second, first] }))
          })
        })
      })
    })
  }),

  law('inline: neighbours of a refused append are stored', async (ctx) => {
    await guarded(ctx, async (projection) => {
      const outcomes = await Promise.all(
        counting(30).map((i) =>
          i % 5 === 0 ? appendOf(ctx.store, typeOf(projection)) : ctx.try(freshStream(), 1),
        ),
      )
      for (const [i, outcome] of outcomes.entries()) {
        if ((i + 1) % 5 === 0) refused(outcome, 'projection-missing')
        else succeeded(outcome)
      }
      await ctx.settled()
      assert.equal((await ctx.log()).length, 24)
    })
  }),

  law('inline: an append that is known already, or refused otherwise, stays so', async (ctx) => {
    const type = fresh('Guarded')
    const stream = freshStream()
    const events = [givenEvent('x', { n: 1 }, { type })]
    await ctx.append(stream, events)
    const projection = { name: fresh('p'), version: 1, types: [type] }
    await register(ctx.store, projection)
    try {
      const again = await ctx.try(stream, events)
      assert.equal(succeeded(again)[0]?.duplicate?.length, 1)
      const late = await ctx.try(stream, [makeEvent({ type })], { expectedVersion: 0 })
      refused(late, 'version-conflict')
    } finally {
      await ctx.store.transaction((tx) => tx.inline.unregister(projection.name))
    }
  }),

  law('inline: an import is refused like any append', async (ctx) => {
    await guarded(ctx, async (projection) => {
      const entry = (type: string, ordinal: number) => ({
        stream: freshStream(),
        expectedVersion: 0,
        events: [makeEvent({ type })],
        ordinals: [ordinal],
      })
      const entries = [entry('ThingHappened', 1), entry(typeOf(projection), 0)]
      refused(await ctx.store.append({ entries }), 'projection-missing')
      assert.equal((await ctx.log()).length, 0)
    })
  }),

  law(
    'inline: a handle that was opened before the registration is refused too',
    async (ctx) => {
      const early = await ctx.openAgain()
      succeeded(await ctx.on(early).try(freshStream(), 1))
      await guarded(ctx, async (projection) => {
        refused(await appendOf(early, typeOf(projection)), 'projection-missing')
        assert.deepEqual(await namesOf(early, [projection]), [projection.name])
        succeeded(await ctx.on(early).try(freshStream(), 1))
        await early.transaction(async (tx) => {
          succeeded(await appendOf(tx, typeOf(projection), { inline: [projection] }))
        })
      })
    },
    'shared',
  ),

  law(
    'inline: a transaction that the caller owns is refused too',
    async (ctx) => {
      await guarded(ctx, async (projection) => {
        const foreign = await ctx.begin()
        const tx = ctx.store.join(foreign.client)
        refused(await appendOf(tx, typeOf(projection)), 'projection-missing')
        succeeded(await appendOf(tx, typeOf(projection), { inline: [projection] }))
        await foreign.commit()
      })
      assert.equal((await ctx.log()).length, 2)
    },
    'within',
  ),
]

/** Inline projections, and the appends that their absence refuses. */
export const inlineCases: readonly ContractCase<EventStoreContext>[] = [...listCases, ...guardCases]
