import { z } from 'zod'

// What the services say to each other: it changes slowly, and each side checks what it gets.
// Nobody reads the store of another service.
export const orderPlaced = z.object({ order: z.string(), card: z.string(), cents: z.number() })
export const paymentTaken = z.object({ order: z.string() })
export const paymentRefused = z.object({ order: z.string(), why: z.string() })
export const parcelSent = z.object({ order: z.string(), parcel: z.string() })
