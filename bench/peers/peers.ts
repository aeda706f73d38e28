import { fileURLToPath } from 'node:url'
import type { InstalledPeers } from './install.ts'
import type { PeerPower } from './orders.ts'
import type { PeerCommand } from './process.ts'

/** Where the logs live. */
export type Medium = 'sqlite' | 'postgres' | 'memory'

/** A way to run a consumer: as it comes, or tuned. */
export interface ConsumerWay {
  readonly suffix: string
  readonly what: string
  readonly batchSize: number
  readonly pullMs: number
}

/** Another library on one medium. */
export interface Peer {
  readonly name: string
  readonly medium: Medium
  /** For the reader of a ratio: which package, through which of its doors. */
  readonly what: string
  readonly powers: readonly PeerPower[]
  readonly ways: readonly ConsumerWay[]
  command(installed: InstalledPeers): PeerCommand
}

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

const onNode =
  (adapter: string) =>
  ({ folder }: InstalledPeers): PeerCommand => ({
    command: process.execPath,
    args: [script('child.ts'), adapter, folder],
  })

const onPython = ({ python }: InstalledPeers): PeerCommand => {
  if (python instanceof Error) throw python
  return { command: python, args: [script('eventsourcing_child.py')] }
}

const asItComes: ConsumerWay = { suffix: '', what: 'as it comes', batchSize: 100, pullMs: 50 }
const emmettWays: readonly ConsumerWay[] = [
  { ...asItComes, what: 'as it comes: batches of 100, pauses of 50 ms' },
  { suffix: ', tuned', what: 'batches of 1,000 and no pause', batchSize: 1000, pullMs: 0 },
]

/** Everything that is measured beside the store. One more is one adapter and one entry here. */
export const peers: readonly Peer[] = [
  {
    ...{ name: 'Emmett', medium: 'sqlite', ways: emmettWays },
    powers: ['append', 'load', 'scan', 'pass'],
    what: 'emmett-sqlite 0.42.4 with core 0.42.0 (the newest that was published) over @appthreat/sqlite3 8.0.1: sqlite3 as it is, but built already',
    command: onNode('emmett-sqlite'),
  },
  {
    ...{ name: 'Emmett, one connection', medium: 'sqlite', ways: [asItComes] },
    powers: ['append', 'load'],
    what: 'the same with a connection that is handed to it, where it opens one for each call otherwise; calls at the same time share a transaction on it',
    command: onNode('emmett-sqlite-one'),
  },
  {
    ...{ name: 'eventsourcing', medium: 'sqlite', ways: [asItComes] },
    powers: ['append', 'load', 'scan'],
    what: 'Python eventsourcing 9.5.6 by its event store and its repository, callers as threads; no subscriptions on SQLite',
    command: onPython,
  },
  {
    ...{ name: 'Emmett', medium: 'postgres', ways: emmettWays },
    powers: ['append', 'load', 'scan', 'pass', 'project'],
    what: 'emmett-postgresql 0.42.0, its own pool',
    command: onNode('emmett-postgres'),
  },
  {
    ...{ name: 'Castore', medium: 'postgres', ways: [asItComes] },
    powers: ['append', 'load'],
    what: 'event-storage-adapter-postgres 2.4.2, versions counted by the caller, several events as an event group; offers no read of all events',
    command: onNode('castore-postgres'),
  },
  {
    ...{ name: 'evtstore', medium: 'postgres', ways: [asItComes] },
    powers: ['append', 'load', 'scan', 'pass'],
    what: 'evtstore 12.0.1 by its provider for postgres.js, versions counted by the caller, data and metadata in its one column',
    command: onNode('evtstore'),
  },
  {
    ...{ name: 'eventsourcing', medium: 'postgres', ways: [asItComes] },
    powers: ['append', 'load', 'scan', 'pass', 'condition'],
    what: 'Python eventsourcing 9.5.6 by its event store and its repository, its PostgresDCBRecorderTT for conditions, callers as threads over 32 connections',
    command: onPython,
  },
  {
    ...{ name: 'Castore', medium: 'memory', ways: [asItComes] },
    powers: ['append', 'load'],
    what: 'event-storage-adapter-in-memory 2.4.2, which gives out the events that it was given, not copies',
    command: onNode('castore-memory'),
  },
]
