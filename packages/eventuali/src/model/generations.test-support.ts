import { defineEvents, type EventInput, event, replacedBy, type } from './index.ts'

/** What happened, whichever program wrote it down. */
export interface Happening {
  readonly customer: number
  readonly kind: 'moved' | 'pinged'
  readonly name: string
  readonly street: string
  readonly city: string
}

const first = defineEvents({
  DetailsChanged: type<{ name: string; address: string }>(),
  Pinged: type<{ at: number }>(),
})
const second = defineEvents({
  DetailsChanged: event(type<{ name: string; address: string; city: string }>(), { version: 2 }),
  Pinged: event(type<{ at: number }>(), { version: 2 }),
})
const third = defineEvents({
  Moved: event(type<{ name: string; address: string; city: string }>(), { version: 3 }),
})
const fourth = defineEvents({
  Renamed: type<{ name: string }>(),
  Moved: event(type<{ address: string; city: string }>(), { version: 4 }),
})

/** The definitions of today: they read what any generation has stored. */
export const customerEvents = defineEvents({
  Renamed: type<{ name: string }>(),
  Moved: event(type<{ to: { street: string; city: string }; country: string; since: Date }>(), {
    version: 5,
    formerly: ['DetailsChanged', 'Pinged'],
    into: ['Renamed'],
    defaults: { country: 'DE' },
    tags: ({ country }) => [`country:${country}`],
    codec: {
      encode: ({ since, ...rest }) => ({ ...rest, since: since.getTime() }),
      decode: ({ since, ...rest }) => ({ ...rest, since: new Date(since) }),
    },
    upcast: {
      1: (data: { address: string }, stored) =>
        stored.type === 'Pinged'
          ? replacedBy([])
          : { ...data, city: data.address.split(', ')[1] ?? '' },
      2: (data, stored) => (stored.type === 'Pinged' ? replacedBy([]) : data),
      3: ({ name, ...rest }: { name: string }) =>
        replacedBy([
          { type: 'Renamed', data: { name } },
          { type: 'Moved', data: rest, version: 4 },
        ]),
      4: ({ address, city }: { address: string; city: string }, { time }) => ({
        to: { street: address.split(', ')[0] ?? '', city },
        since: time.getTime(),
      }),
    },
  }),
})

/** How each generation of the program, 1 to 5, writes down what happened. */
export function written(generation: number, happening: Happening, at: Date): EventInput[] {
  const { kind, name, street, city } = happening
  const address = `${street}, ${city}`
  const options = { time: at }
  if (kind === 'pinged') {
    const { Pinged } = generation === 1 ? first : second
    return generation <= 2 ? [Pinged({ at: 1 }, options)] : []
  }
  switch (generation) {
    case 1:
      return [first.DetailsChanged({ name, address }, options)]
    case 2:
      return [second.DetailsChanged({ name, address, city }, options)]
    case 3:
      return [third.Moved({ name, address, city }, options)]
    case 4:
      return [fourth.Renamed({ name }, options), fourth.Moved({ address, city }, options)]
    default: {
      const moved = { to: { street, city }, country: 'DE', since: at }
      return [customerEvents.Renamed({ name }, options), customerEvents.Moved(moved, options)]
    }
  }
}
