// Orders, payments and shipping, each with a store of its own and no look into the others'. What
// one has stored reaches the others by a broker that loses answers, and takes effect once.
import { freshStore } from '../fresh-store.ts'
import { until } from '../until.ts'
import { TownBroker } from './broker.ts'
import { Order, startOrders } from './orders.ts'
import { Card, startPayments } from './payments.ts'
import { startShipping } from './shipping.ts'

const broker = new TownBroker()
await using orders = await startOrders(await freshStore('orders'), broker)
await using payments = await startPayments(await freshStore('payments'), broker)
const shippingUrl = await freshStore('shipping')

// Shipping is not there yet; what it should know waits in the broker.
const place = (order: string, card: string, cents: number) =>
  orders.aggregate(Order).execute(order, 'place', { order, card, cents })
await place('1', 'ada', 60_00)
await place('2', 'bob', 20_00)
await place('3', 'ada', 70_00) // More than Ada's card has left.
await until(async () => (await statusOf('3')).startsWith('refused'))
console.log('Shipping is away:')
await show()

await using shipping = await startShipping(shippingUrl, broker)
await until(async () => (await statusOf('1')).startsWith('sent'))
await until(async () => (await statusOf('2')).startsWith('sent'))
console.log('Shipping has come back:')
await show()

// The broker has delivered some messages more than once; nobody paid or got a parcel twice.
console.log(`Messages came twice: ${broker.delivered > broker.different}`)
const count = async (store: typeof orders, type: string) =>
  (await store.readAll({ types: [type] }).toArray()).length
console.log(`Payments taken: ${await count(payments, 'PaymentTaken')}`)
console.log(`Parcels sent: ${await count(shipping, 'ParcelSent')}`)
const { charged } = (await payments.aggregate(Card).load('ada')).state
console.log(`Ada's card was charged ${charged / 100} euros`)

async function statusOf(order: string): Promise<string> {
  return (await orders.aggregate(Order).load(order)).state.status
}

async function show(): Promise<void> {
  for (const order of ['1', '2', '3']) console.log(`  order ${order}: ${await statusOf(order)}`)
}
