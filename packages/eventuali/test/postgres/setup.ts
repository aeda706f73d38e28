import pg from 'pg'
import { systemClock, systemRandom, uuidV7Source } from '../../src/kernel/index.ts'
import type { AppendEntry, EventStore, NewEvent } from '../../src/ports/index.ts'
import { openPostgresStore, type PostgresStoreOptions } from '../../src/stores/postgres/index.ts'

export const ids = uuidV7Source(systemClock, systemRandom)

/** Opens a store with the machine's clock and chance. */
export function open(options: Partial<PostgresStoreOptions>): Promise<EventStore> {
  return openPostgresStore({ clock: systemClock, random: systemRandom, ids, ...options })
}

export function event(type: string, more: Partial<NewEvent> = {}): NewEvent {
  return {
    id: ids.next(),
    idGiven: false,
    type,
    data: { n: 1 },
    metadata: {},
    time: 1_700_000_000_000,
    schemaVersion: 1,
    tags: [],
    ...more,
  }
}

/** A request of one event for one stream. */
export function one(stream: string, more: Partial<AppendEntry> = {}): { entries: AppendEntry[] } {
  return { entries: [{ stream, expectedVersion: 'any', events: [event('Happened')], ...more }] }
}

/** A client outside the library. */
export async function foreign(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'somebody else' })
  client.on('error', () => {})
  await client.connect()
  return client
}

export async function readAll(
  store: EventStore,
): Promise<{ stream: string; version: number; position: number; id: string }[]> {
  const events = []
  for await (const page of store.readLog({ direction: 'forward', upTo: Number.MAX_SAFE_INTEGER })) {
    events.push(...page)
  }
  return events
}

/** Versions of each stream are dense from 1, and grow with the positions. */
export function streamFaults(events: readonly { stream: string; version: number }[]): string[] {
  const at = new Map<string, number>()
  const faults: string[] = []
  for (const { stream, version } of events) {
    if (version !== (at.get(stream) ?? 0) + 1) faults.push(`${stream}@${version}`)
    at.set(stream, version)
  }
  return faults
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms))
