import type { EventCreators } from '../model/index.ts'
import type { CommandTarget } from '../processes/index.ts'
import type { OpenStoreSettings, UntypedStoreOptions } from '../store/index.ts'
import type { ServerSettings } from './server-settings.ts'

/** What `openStore` takes that can be said in a configuration. */
export interface OpenSettings
  extends Pick<
    OpenStoreSettings,
    | 'profile'
    | 'driver'
    | 'mmapBytes'
    | 'schema'
    | 'listenUrl'
    | 'poolSize'
    | 'acquireTimeoutMs'
    | 'replicas'
    | 'replicaReads'
    | 'codec'
    | 'snapshots'
    | 'cache'
    | 'schemas'
    | 'timeoutMs'
    | 'conflictRetryCountMax'
    | 'leaseTtlMs'
  > {
  /** What happens with events that `events` does not define; see `openStore`. */
  readonly unknown?: UntypedStoreOptions['unknown']
}

/** A store with settings of its own, which go before those in `open`. */
export interface StoreSettings extends OpenSettings {
  /** `sqlite:FILE` or `postgres://…`; a relative file is beside the configuration. */
  readonly url: string
}

/** What programs write about themselves. */
export interface LogSettings {
  /** `info` when left out. */
  readonly level?: 'silent' | 'error' | 'warn' | 'info' | 'debug' | undefined
  /** `text` when left out; `json`: one object a line. */
  readonly format?: 'text' | 'json' | undefined
}

/** What may differ from profile to profile. */
export interface ProfileSettings {
  /** The store that is used when none is named: a url, one of `stores` by its name, or settings. */
  readonly store?: string | Partial<StoreSettings> | undefined
  /** Stores by name, for `--store NAME` and `config.open('NAME')`. */
  readonly stores?: Readonly<Record<string, string | Partial<StoreSettings>>> | undefined
  /** How every store is opened, unless it says otherwise. */
  readonly open?: OpenSettings | undefined
  /** What may be appended, as `defineEvents` gives it. */
  readonly events?: readonly EventCreators[] | undefined
  /** Aggregates, as `defineAggregate` gives them, and classes. */
  readonly aggregates?: readonly CommandTarget[] | undefined
  readonly projections?: OpenStoreSettings['projections']
  readonly processes?: OpenStoreSettings['processes']
  readonly server?: ServerSettings | undefined
  readonly log?: LogSettings | undefined
}

/** The content of `eventuali.config.ts`. */
export interface EventualiConfig extends ProfileSettings {
  /** What is different in a profile, chosen by `--profile` or `EVENTUALI_PROFILE`. */
  readonly profiles?: Readonly<Record<string, ProfileSettings>> | undefined
}

const MARK = Symbol.for('eventuali.config')

/**
 * The default export of `eventuali.config.ts`: one configuration for the command line, the server
 * and programs. It changes nothing; it lets the editor help and the compiler check.
 *
 * @example
 * ```ts
 * import { defineConfig, defineEvents, secret, type } from 'eventuali'
 *
 * const events = defineEvents({ OrderPlaced: type<{ total: number }>() })
 *
 * export default defineConfig({
 *   store: 'sqlite:shop.db',
 *   events: [events],
 *   profiles: {
 *     production: { store: `postgres://app:${secret('env:DB_PASSWORD')}@db/shop` },
 *   },
 * })
 * ```
 */
export function defineConfig(config: EventualiConfig): EventualiConfig {
  return Object.defineProperty({ ...config }, MARK, { value: true })
}

/**
 * Whether a value was made by `defineConfig`, by this copy of the package or another one.
 *
 * @example
 * ```ts
 * import { defineConfig, isConfig } from 'eventuali'
 *
 * console.log(isConfig(defineConfig({})), isConfig({})) // true false
 * ```
 */
export function isConfig(value: unknown): value is EventualiConfig {
  return typeof value === 'object' && value !== null && MARK in value
}

/**
 * Refers to a secret, which is looked up when it is needed and never shown: `env:NAME` is an
 * environment variable, `file:PATH` the content of a file without the line break at its end. What
 * it returns is text, `${env:NAME}`, that may stand alone or inside of a url, where the secret is
 * percent-encoded; the same text may stand in environment variables and flags. Throws TypeError.
 *
 * @example
 * ```ts
 * import { secret } from 'eventuali'
 *
 * console.log(`postgres://app:${secret('file:/run/secrets/db')}@db/shop`)
 * // postgres://app:${file:/run/secrets/db}@db/shop
 * ```
 */
export function secret(reference: string): string {
  if (typeof reference === 'string' && /^(env:[A-Za-z_]\w*|file:[^{}]+)$/.test(reference)) {
    return `\${${reference}}`
  }
  throw new TypeError('a secret is env:NAME or file:PATH')
}
