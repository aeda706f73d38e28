import { defineAggregate, defineEvents, reject, type } from 'eventuali'

/** A trip, as its customer sees it. */
export const trips = defineEvents({
  TripRequested: type<{ flight: string; hotel: string; nights: number }>(),
  TripBooked: type<null>(),
  TripFailed: type<{ why: string }>(),
})

export const Trip = defineAggregate('trip', {
  events: trips,
  initial: (): { status: string } => ({ status: 'new' }),
  evolve: {
    TripRequested: () => ({ status: 'requested' }),
    TripBooked: () => ({ status: 'booked' }),
    TripFailed: (_state, { data }) => ({ status: `failed, ${data.why}` }),
  },
  commands: {
    request: (_state, input: { flight: string; hotel: string; nights: number }) =>
      trips.TripRequested(input),
    confirm: () => trips.TripBooked(null),
    fail: (_state, why: string) => trips.TripFailed({ why }),
  },
})

/** Things of which there are so many: seats of a flight, rooms of a hotel. */
export const places = defineEvents({
  PlacesOffered: type<{ count: number }>(),
  PlaceTaken: type<{ trip: string }>(),
  PlaceGivenBack: type<{ trip: string }>(),
})

const placeParts = {
  events: places,
  initial: (): { left: number } => ({ left: 0 }),
  evolve: {
    PlacesOffered: (state: { left: number }, event: { data: { count: number } }) => ({
      left: state.left + event.data.count,
    }),
    PlaceTaken: (state: { left: number }) => ({ left: state.left - 1 }),
    PlaceGivenBack: (state: { left: number }) => ({ left: state.left + 1 }),
  },
}

export const Flight = defineAggregate('flight', {
  ...placeParts,
  commands: {
    offer: (_state, count: number) => places.PlacesOffered({ count }),
    take: (state, trip: string) =>
      state.left > 0 ? places.PlaceTaken({ trip }) : reject('the flight is full'),
    giveBack: (_state, trip: string) => places.PlaceGivenBack({ trip }),
  },
})

export const Hotel = defineAggregate('hotel', {
  ...placeParts,
  commands: {
    offer: (_state, count: number) => places.PlacesOffered({ count }),
    take: (state, trip: string) =>
      state.left > 0 ? places.PlaceTaken({ trip }) : reject('the hotel has no room'),
    giveBack: (_state, trip: string) => places.PlaceGivenBack({ trip }),
  },
})

/** What the payment provider tells us, when the customer has paid. */
export const payments = defineEvents({ TripPaid: type<{ trip: string }>() })
