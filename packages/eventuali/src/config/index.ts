import type { Config } from './config.ts'
import type { LoadConfigOptions } from './load.ts'

export type { Config, OpenConfiguredOptions, StorePlace } from './config.ts'
export {
  defineConfig,
  type EventualiConfig,
  isConfig,
  type LogSettings,
  type OpenSettings,
  type ProfileSettings,
  type StoreSettings,
  secret,
} from './define.ts'
export type { LoadConfigOptions } from './load.ts'
export type { ApiKeySettings, JwtSettings, ServerSettings } from './server-settings.ts'
export type { ConfigEntry, ConfigSource } from './settings.ts'
export type { WebhookRetrySettings, WebhookSettings } from './webhook-settings.ts'

/**
 * Reads the configuration that holds here: flags go before the environment (`EVENTUALI_*`), that
 * before the profile, that before the file, that before defaults. Secrets are looked up when a
 * store is opened, not here.
 *
 * Throws ConfigFileError, and ConfigInvalidError with every setting that is not known or wrong.
 *
 * @example
 * ```ts
 * import { loadConfig } from 'eventuali'
 *
 * const config = await loadConfig({ file: false, env: { EVENTUALI_STORE: 'memory:' } })
 * await using store = await config.open()
 * await store.append('order-1', { type: 'OrderPlaced', data: { total: 30 } })
 * console.log(config.sourceOf('store')) // { kind: 'environment', name: 'EVENTUALI_STORE' }
 * ```
 */
export async function loadConfig(options: LoadConfigOptions = {}): Promise<Config> {
  // Whoever does not ask for a configuration loads nothing of it.
  const { load } = await import('./load.ts')
  return load(options)
}
