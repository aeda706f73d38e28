// The program that keeps the projection: node worker.ts STORE
import { openStore } from 'eventuali'
import { sales } from './shop.ts'

const [url = ''] = process.argv.slice(2)
// A program that dies is followed after this time; ten seconds when left out.
const store = await openStore(url, { projections: [sales], leaseTtlMs: 1000 })
await store.projections.start()

// The parent asks to stop, or is gone.
process.on('disconnect', () => void store.close().then(() => process.exit(0)))
