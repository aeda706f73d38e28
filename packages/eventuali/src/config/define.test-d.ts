import {
  Aggregate,
  defineAggregate,
  defineConfig,
  defineEvents,
  defineProjection,
  type,
} from '../index.ts'

const events = defineEvents({ OrderPlaced: type<{ total: number }>() })
const Order = defineAggregate('order', {
  events,
  initial: () => 0,
  evolve: { OrderPlaced: (sum, { data }) => sum + data.total },
  commands: { place: (_sum, total: number) => events.OrderPlaced({ total }) },
})
class Account extends Aggregate<ReturnType<typeof events.OrderPlaced>> {
  static readonly aggregateName = 'account'
  static readonly events = events
  onOrderPlaced(): void {}
}
const sums = defineProjection({ name: 'sums', version: 1, events: [events], handlers: {} })

defineConfig({
  store: 'main',
  stores: { main: 'sqlite:shop.db', audit: { url: 'memory:', poolSize: { reads: 3 } } },
  events: [events],
  aggregates: [Order, Account],
  projections: [sums],
  open: { snapshots: { every: 10 }, unknown: 'allow', schemas: false },
  server: { apiKeys: { ci: { key: 'x', role: 'read' } } },
  profiles: { production: { stores: { main: { driver: 'node:sqlite' } }, log: { level: 'warn' } } },
})

// @ts-expect-error a mistyped key
defineConfig({ storee: 'memory:' })
// @ts-expect-error a number where a text belongs
defineConfig({ store: 7 })
// @ts-expect-error no such level
defineConfig({ log: { level: 'loud' } })
// @ts-expect-error events are no projection
defineConfig({ projections: [events] })
// @ts-expect-error a program's own clock is no setting
defineConfig({ open: { clock: undefined } })
// @ts-expect-error profiles hold no profiles
defineConfig({ profiles: { production: { profiles: {} } } })
