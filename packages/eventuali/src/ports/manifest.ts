import type { StoreCapabilities } from './event-store.ts'

/** What an adapter is and needs; the adapter table and the peer ranges are made from it. */
export interface StoreManifest {
  readonly port: 'event-store'
  readonly name: string
  /** Url schemes it serves, without the colon. */
  readonly schemes: readonly string[]
  readonly capabilities: StoreCapabilities
  /** Why a capability is denied, one sentence each. */
  readonly denied: Partial<Record<keyof StoreCapabilities, string>>
  /** Driver packages with version ranges; all optional peers. */
  readonly peers: Readonly<Record<string, string>>
}
