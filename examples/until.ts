import { setTimeout } from 'node:timers/promises'
import type { Store } from 'eventuali'

const waitMsMax = 120_000

/** Waits for something to hold; two minutes are more than a slow machine needs. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + waitMsMax; !(await holds()); await setTimeout(20)) {
    if (Date.now() > end) throw new Error('it never happened')
  }
}

/** Waits until processes have seen all there is and done what they want to do now. */
export async function processesAtRest(store: Store): Promise<void> {
  for (let before = -1; ; ) {
    const { newest } = await store.positions()
    if (newest === before) return
    before = newest
    await store.processes.reached(newest)
    await store.processes.settle()
  }
}
