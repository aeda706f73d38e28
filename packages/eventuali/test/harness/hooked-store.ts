import {
  openStore,
  type Store,
  systemClock,
  systemRandom,
  type UntypedStoreOptions,
  uuidV7Source,
} from '../../src/index.ts'
import { openAdapter } from '../../src/store/adapters.ts'
import { type StoreHooks, wrapStore } from '../../src/testing/index.ts'

/** A store on the url's adapter with some of its calls replaced: where bugs are planted. */
export async function openHooked(
  url: string,
  hooks: StoreHooks,
  options: UntypedStoreOptions = {},
): Promise<Store> {
  const ids = uuidV7Source(systemClock, systemRandom)
  const adapter = await openAdapter(url, {}, { clock: systemClock, random: systemRandom, ids })
  return openStore(wrapStore(adapter, hooks), options)
}
