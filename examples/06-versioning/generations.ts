import { defineEvents, event, replacedBy, type } from 'eventuali'

/** 2023: one text for the name, and the price is a number of something. */
export const first = defineEvents({
  GuestRegistered: type<{ name: string; price: number }>(),
})

/** From the first generation to the second; written once, and never touched again. */
const toSecond = ({ name, price }: { name: string; price: number }) => {
  const [first = '', ...rest] = name.split(' ')
  return { first, last: rest.join(' '), price: { amount: price, currency: 'EUR' } }
}

/** 2024: the name in two fields, the price with its currency. */
export const second = defineEvents({
  GuestRegistered: event(
    type<{ first: string; last: string; price: { amount: number; currency: string } }>(),
    {
      version: 2,
      upcast: { 1: toSecond },
    },
  ),
})

/**
 * 2026: a registration and a booking are two things. The event has another name, and one old event
 * is read as two. Version 1 goes through both steps.
 */
export const third = defineEvents({
  GuestJoined: event(type<{ first: string; last: string; newsletter: boolean }>(), {
    version: 3,
    formerly: ['GuestRegistered'],
    into: ['RoomBooked'],
    defaults: { newsletter: false },
    upcast: {
      1: toSecond,
      2: (old: { first: string; last: string; price: { amount: number; currency: string } }) =>
        replacedBy([
          { type: 'GuestJoined', data: { first: old.first, last: old.last } },
          { type: 'RoomBooked', data: old.price },
        ]),
    },
  }),
  RoomBooked: type<{ amount: number; currency: string }>(),
})
