import { dirname, isAbsolute, resolve } from 'node:path'
import { maskedText, processPlace } from '../kernel/index.ts'
import { ConfigInvalidError, type EventCreators, InvalidArgumentError } from '../model/index.ts'
import type { CommandTarget, ProcessDefinition } from '../processes/index.ts'
import { openStore, type Store, type UntypedStoreOptions } from '../store/index.ts'
import type { LogSettings, OpenSettings, ProfileSettings, StoreSettings } from './define.ts'
import { withSecrets } from './secrets.ts'
import type { ServerSettings } from './server-settings.ts'
import type { ConfigEntry, ConfigSource, Settings } from './settings.ts'
import { advice } from './shape.ts'

type Projections = NonNullable<ProfileSettings['projections']>

/** A store of the configuration, ready to be opened. */
export interface StorePlace {
  /** Its name in `stores`; undefined for one that is named by its url. */
  readonly name: string | undefined
  /** Where it is, with its secrets: not to be shown. */
  readonly url: string
  /** The same for people, with `***` for passwords. */
  readonly shownUrl: string
  /** How it is opened. */
  readonly options: OpenSettings
}

/** Options of `config.open`: those of `openStore`, which go before the configuration's. */
export interface OpenConfiguredOptions extends UntypedStoreOptions {
  /**
   * `false` leaves out events, projections, processes, snapshots and caches: events are seen as
   * they are stored, and nothing follows them.
   */
  readonly definitions?: boolean | undefined
}

/** What a configuration was made from. */
export interface ConfigParts {
  readonly file: string | undefined
  readonly profile: string | undefined
  readonly profiles: readonly string[]
  readonly warnings: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * The configuration that holds, as `loadConfig` gives it: what the file says, its profile, the
 * environment and flags, the later before the earlier.
 *
 * @example
 * ```ts
 * import { loadConfig } from 'eventuali'
 *
 * const config = await loadConfig({ file: false, flags: { store: 'memory:' } })
 * await using store = await config.open()
 * console.log(store.adapter) // memory
 * ```
 */
export class Config {
  /** The file that was read; undefined when there is none. */
  readonly file: string | undefined
  /** The profile that is mixed in. */
  readonly profile: string | undefined
  /** Names of the profiles that the file has. */
  readonly profiles: readonly string[]
  /** What looks like a mistake and is none for sure, one sentence each. */
  readonly warnings: readonly string[]
  readonly #settings: Settings
  readonly #parts: ConfigParts

  /** @internal Made by `loadConfig`. */
  constructor(settings: Settings, parts: ConfigParts) {
    this.file = parts.file
    this.profile = parts.profile
    this.profiles = parts.profiles
    this.warnings = parts.warnings
    this.#settings = settings
    this.#parts = parts
  }

  /** Every setting that holds, and who said it, in a form that may be shown. */
  entries(): readonly ConfigEntry[] {
    return this.#settings.entries()
  }

  /** Who said a setting, `server.port` for one. */
  sourceOf(key: string): ConfigSource | undefined {
    return this.#settings.sourceOf(key)
  }

  get events(): readonly EventCreators[] {
    return (this.#settings.get('events') ?? []) as readonly EventCreators[]
  }

  get aggregates(): readonly CommandTarget[] {
    return (this.#settings.get('aggregates') ?? []) as readonly CommandTarget[]
  }

  get projections(): Projections {
    return (this.#settings.get('projections') ?? []) as Projections
  }

  get processes(): readonly ProcessDefinition[] {
    return (this.#settings.get('processes') ?? []) as readonly ProcessDefinition[]
  }

  get log(): LogSettings {
    return (this.#settings.get('log') ?? {}) as LogSettings
  }

  /** The server's settings, with their secrets. Throws SecretMissingError. */
  server(): ServerSettings {
    return this.#withSecrets(this.#settings.get('server') ?? {}, 'server') as ServerSettings
  }

  /** Names of the stores in `stores`. */
  get storeNames(): readonly string[] {
    return Object.keys((this.#settings.get('stores') ?? {}) as object)
  }

  /**
   * Where a store is and how it is opened: one of `stores` by its name, any by its url, the
   * configuration's `store` when none is given; undefined when there is none either. Throws
   * ConfigInvalidError for a name that is not known, SecretMissingError.
   */
  place(store?: string): StorePlace | undefined {
    if (store !== undefined) return this.#placeOf(store, undefined)
    const own = this.#settings.get('store')
    if (typeof own === 'string') return this.#placeOf(own, this.#settings.sourceOf('store'))
    return own === undefined ? undefined : this.#placeAt(own, 'store')
  }

  /**
   * Opens a store with the configuration's events, projections, processes and options; see `place`
   * for which, and `openStore` for the errors.
   */
  async open(store?: string, options: OpenConfiguredOptions = {}): Promise<Store> {
    const place = this.place(store)
    if (place === undefined) {
      throw new InvalidArgumentError(
        'store',
        'is not named; give one, set EVENTUALI_STORE, or say it in eventuali.config.ts',
      )
    }
    const { definitions = true, ...given } = options
    const { snapshots, cache, schemas, unknown, ...opened } = place.options
    if (!definitions) return openStore(place.url, { ...opened, ...given })
    const { events, projections, processes } = this
    return openStore(place.url, {
      ...{ ...opened, snapshots, cache, schemas, unknown },
      ...(events.length === 0 ? {} : { events }),
      ...{ projections, processes, scheduleTargets: this.aggregates },
      ...given,
    })
  }

  #placeOf(text: string, source: ConfigSource | undefined): StorePlace {
    const stores = (this.#settings.get('stores') ?? {}) as Readonly<Record<string, unknown>>
    if (Object.hasOwn(stores, text)) return this.#placeAt(stores[text], `stores.${text}`, text)
    if (!text.includes(':') && Object.keys(stores).length > 0) {
      const what = `names no store: ${JSON.stringify(text)}; ${advice(text, Object.keys(stores))}`
      throw new ConfigInvalidError([{ key: 'store', what, where: 'given' }])
    }
    return this.#placeFrom(text, 'store', { source })
  }

  #placeAt(settings: unknown, key: string, name?: string): StorePlace {
    const isText = typeof settings === 'string'
    const { url, ...own } = (isText ? { url: settings } : settings) as StoreSettings
    const at = isText ? key : `${key}.url`
    return this.#placeFrom(url, at, { name, own, source: this.#settings.sourceOf(at) })
  }

  #placeFrom(
    url: string,
    key: string,
    {
      source,
      name,
      own = {},
    }: {
      readonly source?: ConfigSource | undefined
      readonly name?: string | undefined
      readonly own?: OpenSettings
    },
  ): StorePlace {
    const { file, cwd } = this.#parts
    const isOfFile = source?.kind === 'file' || source?.kind === 'profile'
    const full = placed(url, isOfFile && file !== undefined ? dirname(file) : cwd)
    const shared = (this.#settings.get('open') ?? {}) as OpenSettings
    return {
      name,
      url: this.#withSecrets(full, key) as string,
      shownUrl: maskedText(full),
      options: this.#withSecrets({ ...shared, ...own }, 'open') as OpenSettings,
    }
  }

  #withSecrets(value: unknown, key: string): unknown {
    const { file, cwd, env } = this.#parts
    return withSecrets(value, key, { env, folder: file === undefined ? cwd : dirname(file) })
  }
}

/** A relative SQLite file is beside the configuration that names it, wherever a command is run. */
function placed(url: string, folder: string): string {
  const database = /^sqlite:(.+)$/s.exec(url)?.[1]
  if (database === undefined || database === ':memory:') return url
  if (isAbsolute(database) || folder === processPlace().cwd) return url
  return `sqlite:${resolve(folder, database)}`
}
