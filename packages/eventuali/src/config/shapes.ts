import type { CacheOptions } from '../caching/index.ts'
import type { CodecOptions } from '../model/index.ts'
import type { PoolLaneName } from '../ports/index.ts'
import type { ReplicaReads } from '../replicas/index.ts'
import type { SchemaOptions } from '../schemas/index.ts'
import type { SnapshotOptions } from '../snapshots/index.ts'
import type { ReplicaSettings } from '../store/index.ts'
import type {
  EventualiConfig,
  LogSettings,
  OpenSettings,
  ProfileSettings,
  StoreSettings,
} from './define.ts'
import { serverShapes } from './server-settings.ts'
import type { CodeShape, Shape, ShapesOf } from './shape.ts'

const text: Shape = { kind: 'text' }
const count: Shape = { kind: 'number', min: 0 }
const positive: Shape = { kind: 'number', min: 1 }
const oneOf = (...of: readonly string[]): Shape => ({ kind: 'text', of })
const group = (keys: Readonly<Record<string, Shape>>, needs: readonly string[] = []): Shape => ({
  kind: 'group',
  ...{ keys, needs },
})
const either = (...of: readonly Shape[]): Shape => ({ kind: 'either', of })

const share: CodeShape = {
  kind: 'code',
  what: 'a number from 0 to 1',
  is: (value) => typeof value === 'number' && value >= 0 && value <= 1,
  nameOf: String,
}

const chooser: CodeShape = {
  kind: 'code',
  what: 'a function',
  is: (value) => typeof value === 'function',
  nameOf: () => '(a function)',
}

const lanes: ShapesOf<Record<PoolLaneName, number>> = {
  appends: positive,
  reads: positive,
  subscriptions: positive,
  transactions: positive,
}

const replica: ShapesOf<ReplicaSettings> = { url: text, poolSize: positive }
const replicaReads: ShapesOf<ReplicaReads> = { withinMs: count }

const compress: ShapesOf<NonNullable<CodecOptions['compress']>> = {
  with: oneOf('gzip', 'brotli', 'zstd', 'lz4', 'snappy'),
  above: count,
}
const codec: ShapesOf<CodecOptions> = {
  encoding: oneOf('json', 'msgpack'),
  compress: group(compress),
}

const snapshots: ShapesOf<SnapshotOptions> = {
  every: positive,
  bytes: positive,
  loadMs: positive,
  ageMs: positive,
  streams: chooser,
  keep: positive,
  codec: group(codec),
  checkRate: share,
  memoryBytes: count,
}

const cache: ShapesOf<CacheOptions> = {
  bytes: positive,
  streamBytes: positive,
  headMs: positive,
}
const schemas: ShapesOf<SchemaOptions> = {
  compatibility: oneOf('backward', 'forward', 'full', 'none'),
}

const open: ShapesOf<OpenSettings> = {
  profile: oneOf('durable', 'relaxed'),
  driver: oneOf('node:sqlite', 'better-sqlite3'),
  mmapBytes: count,
  schema: text,
  listenUrl: text,
  poolSize: either(positive, group(lanes)),
  acquireTimeoutMs: positive,
  replicas: { kind: 'list', of: either(text, group(replica, ['url'])) },
  replicaReads: group(replicaReads),
  codec: group(codec),
  snapshots: group(snapshots),
  cache: group(cache),
  schemas: either({ kind: 'false' }, group(schemas)),
  timeoutMs: positive,
  conflictRetryCountMax: count,
  leaseTtlMs: { kind: 'number', min: 100 },
  unknown: oneOf('allow', 'refuse'),
}

const storeKeys: ShapesOf<StoreSettings> = { url: text, ...open }
const store: Shape = either(text, group(storeKeys, ['url']))

const log: ShapesOf<LogSettings> = {
  level: { kind: 'text', of: ['silent', 'error', 'warn', 'info', 'debug'], default: 'info' },
  format: { kind: 'text', of: ['text', 'json'], default: 'text' },
}

const nameOf = (value: unknown): string => {
  const { aggregateName, name } = value as { aggregateName?: unknown; name?: unknown }
  return String(aggregateName ?? name)
}

const ofKind = (kind: string, what: string): CodeShape => ({
  kind: 'code',
  what,
  is: (value) => (value as { kind?: unknown } | null)?.kind === kind,
  nameOf,
})

const aggregate: CodeShape = {
  kind: 'code',
  what: 'what defineAggregate gives, or an aggregate class',
  is: (value) =>
    (value as { kind?: unknown } | null)?.kind === 'aggregate' ||
    (typeof value === 'function' &&
      typeof (value as { aggregateName?: unknown }).aggregateName === 'string'),
  nameOf,
}

const isCreator = (value: unknown): boolean =>
  typeof value === 'function' && typeof (value as { type?: unknown }).type === 'string'

const creators: CodeShape = {
  kind: 'code',
  what: 'what defineEvents gives',
  is: (value) =>
    typeof value === 'object' && value !== null && Object.values(value).every(isCreator),
  nameOf: (value) => Object.keys(value as object).join(', '),
}

const list = (of: Shape): Shape => ({ kind: 'list', of })

const profile: ShapesOf<ProfileSettings> = {
  store,
  stores: { kind: 'named', of: store },
  open: group(open),
  events: list(creators),
  aggregates: list(aggregate),
  projections: list(ofKind('projection', 'what defineProjection gives')),
  processes: list(ofKind('process', 'what defineProcess gives')),
  server: group(serverShapes),
  log: group(log),
}

/** Everything that holds at once, with one profile mixed in. */
export const settingsShape: Shape = group(profile)

const whole: ShapesOf<EventualiConfig> = {
  ...profile,
  profiles: { kind: 'named', of: settingsShape },
}

/** The content of a configuration file. */
export const fileShape: Shape = group(whole)
