import { openStore } from '../../src/index.ts'

// A short program: what it leaves open keeps it from ending.
const store = await openStore(process.argv[2] ?? '')
await store.append('order-1', { type: 'OrderPlaced', data: null })
await store.close()
