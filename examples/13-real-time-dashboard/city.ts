import { collection, defineAggregate, defineEvents, defineProjection, reject } from 'eventuali'
import { z } from 'zod'
import { type Figures, figuresAfter, noFigures } from './page/figures.js'

/** What happens to a bike. */
export const bikeEvents = defineEvents({
  BikeRented: z.object({ station: z.string() }),
  BikeReturned: z.object({ station: z.string(), minutes: z.number().int().min(0) }),
})

type BikeState = { isOut: boolean }

/** One bike, in a stream such as `bike-17`. */
export const Bike = defineAggregate('bike', {
  events: bikeEvents,
  initial: (): BikeState => ({ isOut: false }),
  evolve: {
    BikeRented: () => ({ isOut: true }),
    BikeReturned: () => ({ isOut: false }),
  },
  commands: {
    rent: ({ isOut }, input: { station: string }) =>
      isOut ? reject('the bike is out') : bikeEvents.BikeRented(input),
    giveBack: ({ isOut }, input: { station: string; minutes: number }) =>
      isOut ? bikeEvents.BikeReturned(input) : reject('the bike is not out'),
  },
})

/** The whole city in one document: what a page needs before it follows the feed. */
export const city = defineProjection({
  name: 'city',
  version: 1,
  events: [bikeEvents],
  collections: { figures: collection<Figures>() },
  handlers: {
    BikeRented: (event, ctx) =>
      ctx.collection('figures').patch('all', (was = noFigures()) => figuresAfter(was, event)),
    BikeReturned: (event, ctx) =>
      ctx.collection('figures').patch('all', (was = noFigures()) => figuresAfter(was, event)),
  },
})
