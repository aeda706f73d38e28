import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from 'eventuali'
import { manifest, openHttpStore } from 'eventuali/client'
import type { EventStore, StoreManifest } from 'eventuali/ports'
import type { EventStoreSubject } from 'eventuali/testing'
import { hashApiKey, type RunningServer, type ServeOptions, serve } from './index.ts'

const token = 'k_0123456789abcdefghijklmnop'

/** A server on loopback over one store, with one key that may do everything. */
export async function served(url: string, options: ServeOptions = {}) {
  const store = await openStore(url)
  const auth = { keys: [{ name: 'test', role: 'admin' as const, hash: hashApiKey(token) }] }
  const running: RunningServer = await serve(store, {
    ...{ port: 0, auth, onError: () => {} },
    ...options,
  })
  return {
    ...{ store, running, token },
    open: (): Promise<EventStore> => openHttpStore({ url: running.url, token }),
    close: async () => {
      await running.close()
      await store.close()
    },
  }
}

/** One server over one store, made when it is first asked for; each case has its own client. */
export function oneServer(url: string) {
  let started: Promise<Awaited<ReturnType<typeof served>>> | undefined
  let folder: string | undefined
  const start = () => {
    if (url !== 'sqlite:') return served(url)
    folder = mkdtempSync(join(tmpdir(), 'eventuali-server-'))
    return served(`sqlite:${join(folder, 'log.db')}`)
  }
  return {
    make: async (): Promise<EventStoreSubject> => {
      started ??= start()
      const { open } = await started
      return { store: await open(), openAgain: open, dispose: async () => {} }
    },
    close: async () => {
      await (await started)?.close()
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The manifest of the client before a store that does not outlive its server. */
export const inMemory: StoreManifest = {
  ...manifest,
  capabilities: { ...manifest.capabilities, durable: false },
  denied: { ...manifest.denied, durable: 'The server holds it in memory.' },
}
