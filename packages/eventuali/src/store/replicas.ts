import type { Clock, IdSource, Random } from '../kernel/index.ts'
import { InvalidArgumentError } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { type ReplicaPlace, type ReplicatedStore, withReplicas } from '../replicas/index.ts'
import type { OpenStoreSettings, ReplicaSettings } from './open-options.ts'

interface Sources {
  readonly clock: Clock
  readonly random: Random
  readonly ids: IdSource
}

function checked(replica: unknown, index: number): ReplicaSettings {
  const argument = `replicas[${index}]`
  const settings = typeof replica === 'string' ? { url: replica } : replica
  const url = (settings as Partial<ReplicaSettings> | null | undefined)?.url
  // The url may hold a password, so it is not shown.
  if (typeof url !== 'string' || !/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    throw new InvalidArgumentError(argument, 'must be the postgres:// url of a replica')
  }
  return settings as ReplicaSettings
}

/** Host, port and database of a url, without user, password and parameters. */
function nameOf(url: string): string {
  const { host, pathname } = new URL(url)
  return `${host}${pathname}`
}

/** Throws InvalidArgumentError for what is no list of urls of Postgres servers. */
export function assertReplicas({ replicas }: OpenStoreSettings): void {
  if (replicas === undefined) return
  if (!Array.isArray(replicas)) throw new InvalidArgumentError('replicas', 'must be an array')
  for (const [index, replica] of replicas.entries()) checked(replica, index)
}

/** Whether a store that was handed in reads from replicas already. */
function isReplicated(store: EventStore): store is ReplicatedStore {
  return typeof (store as Partial<ReplicatedStore>).replicaStatus === 'function'
}

/** The primary with its replicas, each opened in the background, for reading. */
export async function overReplicas(
  primary: EventStore,
  settings: OpenStoreSettings,
  sources: Sources,
): Promise<ReplicatedStore | undefined> {
  const { replicas = [], replicaReads = {} } = settings
  if (replicas.length === 0) return isReplicated(primary) ? primary : undefined
  if (primary.adapter !== 'postgres') {
    throw new InvalidArgumentError('replicas', 'are those of a PostgreSQL store')
  }
  const { schema } = await primary.settings()
  const { openPostgresStore } = await import('../stores/postgres/index.ts')
  const places = replicas.map((replica, index): ReplicaPlace => {
    const { url, poolSize = settings.poolSize } = checked(replica, index)
    const open = () => openPostgresStore({ ...sources, url, poolSize, schema, standby: true })
    return { name: nameOf(url), open }
  })
  return withReplicas(primary, { ...sources, ...replicaReads, replicas: places })
}
