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
for (const [how, buy] of [
  ['in one transaction', buyAtOnce],
  ['in steps', buyInSteps],
] as const) {
  console.log(how)
  const name = how.replaceAll(' ', '')
  await buy(store, { ...teapot, order: `${name}1` })
  await show(`${name}1`)
  // The first way has left one teapot, the second none: this one is refused there.
  if (buy === buyAtOnce) {
    const dear = { ...teapot, order: `${name}2`, cents: 90_00 }
    await buy(store, dear).catch(expectRefusal)
  } else await buy(store, { ...teapot, order: `${name}2` }).catch(expectRefusal)
  await show(`${name}2`)
}

// Run again what was done: the ids make it the same purchase.
await buyInSteps(store, { ...teapot, order: 'insteps1' })
console.log('the same purchase again')
await show('insteps1')

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
