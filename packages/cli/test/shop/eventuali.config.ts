import { defineConfig } from 'eventuali'
import { Order, orders, reminders, totals } from './model.ts'

export default defineConfig({
  events: [orders],
  aggregates: [Order],
  projections: [totals],
  processes: [reminders],
  // The seed appends what other programs would: a schedule's event, a benchmark's.
  open: { unknown: 'allow' },
})
