import { setTimeout as sleep } from 'node:timers/promises'
import type { EventInput, Store } from 'eventuali'
import { Bike } from './city.ts'

const BIKES = 40
const PAUSE_MS = 400
const stations = ['Harbour', 'Market', 'Museum', 'Park', 'Station', 'University']

const chosen = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T

/** People who rent bikes and bring them back somewhere else, until the signal. */
export async function makeTraffic<E extends EventInput>(
  store: Store<E>,
  signal: AbortSignal,
): Promise<void> {
  const bikes = store.aggregate(Bike)
  while (!signal.aborted) {
    const id = String(1 + Math.floor(Math.random() * BIKES))
    const station = chosen(stations)
    const { state } = await bikes.load(id)
    if (state.isOut) {
      const minutes = 3 + Math.floor(Math.random() * 40)
      await bikes.execute(id, 'giveBack', { station, minutes })
    } else {
      await bikes.execute(id, 'rent', { station })
    }
    await sleep(Math.random() * PAUSE_MS * 2, undefined, { signal }).catch(() => {})
  }
}
