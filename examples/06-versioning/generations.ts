import { defineEvents, event, replacedBy, type } from 'eventuali'

/** 2023: one text for the name, and the price is a number of something. */
export const first = defineEvents({
  GuestRegistered: type<{ name: string; price: number }>(),
})

/** 2024: the name in two fields, the price with its currency. */
export const second = defineEvents({
  GuestRegistered: event(
    type<{ first: string; last: string; price: { amount: number; currency: string } }>(),
    {
      version: 2,
      upcast: {
        1: ({ name, price }: { name: string; price: number }) => {
          const [given = '', ...rest] = name.split(' ')
          return { first: given, last: rest.join(' '), price: { amount: price, currency: 'EUR' } }
        },
      },
    },
  ),
})

/**
 * 2026: a registration and a booking are two things. The event has another name, and one old event
 * is read as two. Each step is written once and never touched again: version 1 goes through both.
 */
export const third = defineEvents({
  GuestJoined: event(type<{ first: string; last: string; newsletter: boolean }>(), {
    version: 3,
    formerly: ['GuestRegistered'],
    into: ['RoomBooked'],
    defaults: { newsletter: false },
    upcast: {
      1: ({ name, price }: { name: string; price: number }) => {
        const [given = '', ...rest] = name.split(' ')
        return { first: given, last: rest.join(' '), price: { amount: price, currency: 'EUR' } }
      },
      2: (old: { first: string; last: string; price: { amount: number; currency: string } }) =>
        replacedBy([
          { type: 'GuestJoined', data: { first: old.first, last: old.last } },
          { type: 'RoomBooked', data: old.price },
        ]),
    },
  }),
  RoomBooked: type<{ amount: number; currency: string }>(),
})
