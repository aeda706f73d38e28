import type { Store, Transaction } from 'eventuali'
import type { BrokerMessage } from 'eventuali/ports'

/**
 * Handles a message once, however often it comes. Its id, the same at every delivery, is stored as
 * the id of an event in the transaction of the effect; a stream knows each id once.
 */
export async function receiveOnce(
  store: Store,
  message: BrokerMessage,
  effect: (tx: Transaction) => Promise<void>,
): Promise<void> {
  const { id, type, payload } = message
  await store.transaction(async (tx) => {
    // A stream for each key, so that messages about different things do not wait for each other.
    const received = { id, type: 'MessageReceived', data: { type, payload } }
    const { duplicate } = await tx.append(`inbox-${message.key}`, received)
    if (duplicate !== true) await effect(tx)
  })
}
