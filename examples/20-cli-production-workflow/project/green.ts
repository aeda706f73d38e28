import { work } from './worker.ts'

// The fault mended: people write addresses like that.
await work('green.config.ts', (address) => {
  const mended = address.replace(' at ', '@')
  if (!mended.includes('@')) throw new RangeError(`${address} is no address`)
  return mended
})
