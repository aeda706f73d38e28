import { type as ark } from 'arktype'
import * as v from 'valibot'
import { z } from 'zod'
import {
  defineEvents,
  type EventsOf,
  event,
  type OutputOf,
  type RecordedFrom,
  type RecordedOf,
} from './event-definitions.ts'
import { type } from './standard-schema.ts'

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function holds<_T extends true>(): void {}

interface Shipped {
  carrier: string
  parcels?: { weight: number }[]
}

const events = defineEvents({
  Placed: z.object({ customer: z.string(), total: z.coerce.number<string>() }),
  Paid: v.object({ cents: v.pipe(v.string(), v.transform(Number)) }),
  Packed: ark({ box: 'string', 'note?': 'string' }),
  Shipped: type<Shipped>(),
  Tagged: event(z.object({ course: z.string() }), { tags: (data) => [`course:${data.course}`] }),
  Due: event(type<{ at: Date; big: bigint }>(), {
    tags: (data) => [data.at.toISOString()],
    version: 2,
    codec: {
      encode: (data) => ({ at: data.at.toISOString(), big: String(data.big) }),
      decode: (stored) => ({ at: new Date(stored.at), big: BigInt(stored.big) }),
    },
  }),
})

// Creators take the schema's input, readers see its output.
events.Placed({ customer: 'ada', total: '30' })
events.Paid({ cents: '12' }, { id: 'x', time: new Date(0), tags: ['a'], metadata: { actor: 'a' } })
events.Packed({ box: 'small' })
events.Shipped({ carrier: 'dhl', parcels: [{ weight: 1 }] })
events.Due({ at: new Date(0), big: 1n })
holds<Equal<RecordedOf<typeof events, 'Placed'>['data'], { customer: string; total: number }>>()
holds<Equal<RecordedOf<typeof events, 'Paid'>['data'], { cents: number }>>()
holds<Equal<RecordedOf<typeof events, 'Packed'>['data'], { box: string; note?: string }>>()
holds<Equal<RecordedOf<typeof events, 'Shipped'>['data'], Shipped>>()
holds<Equal<RecordedOf<typeof events, 'Due'>['data'], { at: Date; big: bigint }>>()
holds<Equal<RecordedOf<typeof events>['type'], keyof typeof events>>()
holds<Equal<EventsOf<typeof events>['type'], keyof typeof events>>()
holds<Equal<typeof events.Placed.type, 'Placed'>>()
// A plain union without creators works where only inputs are known.
type Plain = { type: 'A'; data: { a: number } }
holds<Equal<OutputOf<Plain>, { a: number }>>()
holds<Equal<RecordedFrom<Plain>['data'], { a: number }>>()

// The union narrows by type.
export function narrow(recorded: RecordedOf<typeof events>): number {
  return recorded.type === 'Placed' ? recorded.data.total : 0
}

// @ts-expect-error the input of total is text
events.Placed({ customer: 'ada', total: 30 })
// @ts-expect-error carrier is missing
events.Shipped({})
// @ts-expect-error there is no such event
events.Lost?.({})
// @ts-expect-error an option that no event has
events.Shipped({ carrier: 'x' }, { position: 1 })

export const refused = defineEvents({
  Fine: type<{ x: string; y?: number[]; z: null | { a: boolean } }>(),
  // @ts-expect-error data.inner[].at is a Date
  WithDate: z.object({ inner: z.array(z.object({ at: z.date() })) }),
  // @ts-expect-error data.at is a Date
  WithValibotDate: v.object({ at: v.date() }),
  // @ts-expect-error data.at is a Date
  WithArkDate: ark({ at: 'Date' }),
  // @ts-expect-error data.n is a bigint
  WithBigint: type<{ n: bigint }>(),
  // @ts-expect-error data.m is a Map
  WithMap: type<{ m: Map<string, number> }>(),
  // @ts-expect-error data.s is a Set
  WithSet: type<{ s: Set<string> }>(),
  // @ts-expect-error data.f is a function
  WithFunction: type<{ f: () => void }>(),
  // @ts-expect-error data.s is a symbol
  WithSymbol: type<{ s: symbol }>(),
  // @ts-expect-error data may be undefined
  WithUndefined: type<undefined>(),
  // @ts-expect-error what the codec gives holds a Date again
  BadCodec: event(type<{ at: Date }>(), {
    codec: { encode: (data) => ({ at: data.at }), decode: (stored) => stored },
  }),
  // @ts-expect-error details without a codec do not make a Date storable
  NoCodec: event(type<{ at: Date }>(), { tags: () => [] }),
})

export const noSchema = defineEvents({
  // @ts-expect-error neither a schema nor a type
  NoSchema: { validate: () => true },
})

// What the compiler cannot see through is left to the run-time check; recursion ends.
interface Tree {
  readonly label: string
  readonly children: readonly Tree[]
}
export const open = defineEvents({
  Unknown: type<unknown>(),
  Record: type<Record<string, number | string[]>>(),
  Branded: z.object({ id: z.string().brand('id') }),
  Tree: type<Tree>(),
})

export const evolving = defineEvents({
  Moved: event(type<{ city: string; country: string }>(), {
    version: 2,
    formerly: ['Relocated'],
    defaults: { country: 'DE' },
    upcast: {
      1: (data: { town: string }, { time }) => ({ city: data.town, since: time.getTime() }),
    },
  }),
  BadDefault: event(type<{ city: string }>(), {
    // @ts-expect-error country is no field of the data
    defaults: { country: 'DE' },
  }),
  BadUpcaster: event(type<{ city: string }>(), {
    version: 2,
    // @ts-expect-error an upcaster is a function
    upcast: { 1: { city: 'Bonn' } },
  }),
})
