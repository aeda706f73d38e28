// An order, a card and a stock change together. First in one transaction: all or nothing, simple,
// and everything it touches is in one database. Then in many: each step for itself, taken back
// by hand when a later one is refused. Example 07 lets a process do the second way for you.
import { DomainError, openStore, type Store } from 'eventuali'
import { freshStore } from '../fresh-store.ts'
import { Card, Order, Stock } from './shop.ts'

interface Purchase {
  readonly order: string
  readonly card: string
  readonly sku: string
  readonly cents: number
}

/** All in one transaction: when one of them refuses, none has happened. */
async function buyAtOnce(store: Store, { order, card, sku, cents }: Purchase): Promise<void> {
  await store.transaction(async (tx) => {
    await tx.aggregate(Order).execute(order, 'place', { sku, cents })
    await tx.aggregate(Card).execute(card, 'charge', { cents, order })
    await tx.aggregate(Stock).execute(sku, 'take', order)
    await tx.aggregate(Order).execute(order, 'pay', card)
  })
}

/** Each in its own transaction: others see the steps between, and a refusal is compensated. */
async function buyInSteps(store: Store, { order, card, sku, cents }: Purchase): Promise<void> {
  // With command ids the whole may be run again after a crash, and no step happens twice.
  const once = (step: string) => ({ commandId: `${order}/${step}` })
  await store.aggregate(Order).execute(order, 'place', { sku, cents }, once('place'))
  await store.aggregate(Card).execute(card, 'charge', { cents, order }, once('charge'))
  try {
    await store.aggregate(Stock).execute(sku, 'take', order, once('take'))
  } catch (error) {
    if (!(error instanceof DomainError)) throw error
    await store.aggregate(Card).execute(card, 'refund', { cents, order }, once('refund'))
    await store.aggregate(Order).execute(order, 'cancel', error.reason, once('cancel'))
    throw error
  }
  await store.aggregate(Order).execute(order, 'pay', card, once('pay'))
}

await using store = await openStore(await freshStore('shop'))
await store.aggregate(Stock).execute('teapot', 'receive', 2)

const teapot = { card: 'ada', sku: 'teapot', cents: 30_00 }

console.log('in one transaction')
await buyAtOnce(store, { ...teapot, order: '1' })
await show('1')
// Over the limit of the card: nothing has happened, not even the order.
await buyAtOnce(store, { ...teapot, order: '2', cents: 90_00 }).catch(expectRefusal)
await show('2')

console.log('in steps')
await buyInSteps(store, { ...teapot, order: '3' })
await show('3')
// That was the last teapot: the card is charged by now, and gets its money back.
await buyInSteps(store, { ...teapot, order: '4' }).catch(expectRefusal)
await show('4')

// Run again what was done: the ids make it the same purchase.
console.log('the same purchase again')
await buyInSteps(store, { ...teapot, order: '3' })
await show('3')

function expectRefusal(error: unknown): void {
  if (!(error instanceof DomainError)) throw error
  console.log(`  refused: ${error.reason}`)
}

async function show(order: string): Promise<void> {
  const { state, version } = await store.aggregate(Order).load(order)
  const { charged } = (await store.aggregate(Card).load('ada')).state
  const { left } = (await store.aggregate(Stock).load('teapot')).state
  console.log(
    `  order ${order}: ${state.status} (${version} events), ` +
      `card charged ${charged / 100}, ${left} teapots left`,
  )
}
