import type { Deadline } from '../../kernel/index.ts'
import { type Connections, statement } from './connections.ts'
import { amcheckState } from './index-faults.ts'

const names = [
  ...['server_version', 'synchronous_commit', 'fsync', 'full_page_writes', 'data_checksums'],
]

/** Settings of the server as a connection of the store has them. */
export async function serverSettings(
  connections: Connections,
  deadline: Deadline,
): Promise<Readonly<Record<string, string>>> {
  const list = names.map((name) => `current_setting('${name}')`).join(', ')
  const [row] = await connections.read(statement(`SELECT ${list}`), [], deadline)
  const [amcheck] = await connections.read(statement(amcheckState), [], deadline)
  return {
    ...Object.fromEntries(names.map((name, i) => [name, row?.[i] ?? ''])),
    pooler: connections.pooled ? 'transaction' : 'none',
    amcheck: String(amcheck?.[0]),
  }
}

const notDurable: ReadonlySet<string> = new Set(['off'])

/** What to set in each append, or null when the server's own value serves the profile. */
export function wantedSync(
  profile: 'durable' | 'relaxed',
  found: string,
  pooled: boolean,
): string | null {
  if (profile === 'relaxed') return 'off'
  // Behind a pooler another backend may serve each append.
  return notDurable.has(found) || pooled ? 'on' : null
}
