import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import {
  manifest as memory,
  openMemoryStore,
} from '../packages/eventuali/src/stores/memory/index.ts'
import {
  openSqliteStore,
  manifest as sqlite,
} from '../packages/eventuali/src/stores/sqlite/index.ts'
import { bindVitest, eventStoreContract } from '../packages/eventuali/src/testing/index.ts'

// The contract once for each of the two stores that need no server, without syncs: a mutant has to
// meet all cases that go through it.
bindVitest(eventStoreContract, {
  ...{ describe, it, manifest: memory },
  make: async () => ({ store: await openMemoryStore(), dispose: async () => {} }),
})

bindVitest(eventStoreContract, {
  ...{ describe, it },
  manifest: {
    ...sqlite,
    capabilities: { ...sqlite.capabilities, within: false },
    denied: { within: 'The connection was not handed in.' },
  },
  make: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventuali-mutation-'))
    const open = (name: string) => openSqliteStore({ file: join(folder, name), profile: 'relaxed' })
    const into = join(folder, 'fork.db')
    return {
      store: await open('log.db'),
      openAgain: () => open('log.db'),
      forkPlace: () => ({ into, open: () => open('fork.db') }),
      dispose: async () => rmSync(folder, { recursive: true, force: true }),
    }
  },
})
