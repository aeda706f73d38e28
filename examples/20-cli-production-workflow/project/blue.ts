import { work } from './worker.ts'

await work('eventuali.config.ts', (address) => {
  if (!address.includes('@')) throw new RangeError(`${address} is no address`)
  return address
})
