import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import { openStore, type Store } from 'eventuali'

/** A fault that can be made and mended. */
export interface Faulty {
  readonly store: Store
  readonly what: string
  strike(): void
  mend(): void
  close(): Promise<void>
}

/** The SQLite file `url` names, held by another program that does not end its transaction. */
async function lockedFile(url: string): Promise<Faulty> {
  const store = await openStore(url, { timeoutMs: 500 })
  const other = new DatabaseSync(url.slice('sqlite:'.length))
  return {
    store,
    what: 'the file is locked by another program',
    strike: () => other.exec('BEGIN IMMEDIATE'),
    mend: () => other.exec('ROLLBACK'),
    close: async () => {
      other.close()
      await store.close()
    },
  }
}

/** A wire between the store and its Postgres server that can be cut. */
async function cutWire(url: string): Promise<Faulty> {
  const wired = new URL(url)
  const host = wired.hostname
  const port = Number(wired.port || 5432)
  const sockets = new Set<Socket>()
  let isCut = false
  const wire = createServer((near) => {
    if (isCut) return near.destroy()
    const far = connect(port, host)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    }
    return near.pipe(far).pipe(near)
  })
  wire.listen(0, '127.0.0.1')
  await once(wire, 'listening')
  const address = wire.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  wired.hostname = '127.0.0.1'
  wired.port = String(address.port)
  const store = await openStore(wired.href, { timeoutMs: 500 })
  return {
    store,
    what: 'the connection is lost',
    strike: () => {
      isCut = true
      for (const socket of sockets) socket.destroy()
    },
    mend: () => {
      isCut = false
    },
    close: async () => {
      await store.close()
      wire.close()
    },
  }
}

/** The fault that is the usual one of the storage that `url` names. */
export function outage(url: string): Promise<Faulty> {
  return url.startsWith('sqlite:') ? lockedFile(url) : cutWire(url)
}
