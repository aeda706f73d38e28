import { one, open } from './setup.ts'

/** Opens the store of a schema that others open at the same moment, and appends to it. */
const store = await open({ url: process.env.STORE_URL, schema: 'migrated' })
await store.append(one(`process-${process.pid}`))
process.send?.(store.incarnation)
await store.close()
process.disconnect?.()
