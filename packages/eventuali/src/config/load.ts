import { resolve } from 'node:path'
import { processPlace } from '../kernel/index.ts'
import { ConfigInvalidError, type ConfigProblem } from '../model/index.ts'
import { Config } from './config.ts'
import { environmentSettings } from './environment.ts'
import { findFile, readFile } from './file.ts'
import { type ConfigSource, Settings } from './settings.ts'
import { advice, defaultsOf, isPlain, lacking, misfits, type Shape } from './shape.ts'
import { fileShape, settingsShape } from './shapes.ts'

/** Where a configuration is looked for, and what goes before it. */
export interface LoadConfigOptions {
  /**
   * The file; `false`: none. When left out it is `EVENTUALI_CONFIG`, or else the nearest
   * `eventuali.config.ts` (`.mts`, `.js`, `.mjs`) in `cwd` or above.
   */
  readonly file?: string | false | undefined
  /** The profile that is mixed in; `EVENTUALI_PROFILE` when left out. */
  readonly profile?: string | undefined
  /** Settings that go before everything, by key: `{ 'server.port': 8080 }`. */
  readonly flags?: Readonly<Record<string, unknown>> | undefined
  /** The process's own when left out. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** The process's own when left out. */
  readonly cwd?: string | undefined
}

/** The configuration as `loadConfig` promises it. */
export async function load(options: LoadConfigOptions): Promise<Config> {
  const place = processPlace()
  const { cwd = place.cwd, env = place.env } = options
  const named = options.file ?? (env.EVENTUALI_CONFIG || undefined)
  const file =
    named === undefined
      ? findFile(cwd, place.userId)
      : named === false
        ? undefined
        : resolve(cwd, named)
  const content = file === undefined ? {} : await readFile(file)
  assertFits(content, fileShape, file ?? '')

  const settings = new Settings()
  for (const [key, value, shape] of defaultsOf(settingsShape, '')) {
    settings.set(value, shape, key, { kind: 'default', name: '' })
  }
  const { profiles: kept, ...base } = content
  if (file !== undefined) settings.set(base, settingsShape, '', { kind: 'file', name: file })
  const profiles = isPlain(kept) ? kept : {}
  const profile = options.profile ?? (env.EVENTUALI_PROFILE || undefined)
  if (profile !== undefined) {
    const by = options.profile === undefined ? 'environment EVENTUALI_PROFILE' : 'flag --profile'
    assertProfile(profile, profiles, by, file)
    settings.set(profiles[profile], settingsShape, '', { kind: 'profile', name: profile })
  }
  const unknown = setFromEnvironment(settings, env)
  setFlags(settings, options.flags ?? {})
  assertComplete(settings)
  return new Config(settings, {
    ...{ file, profile, cwd, env, profiles: Object.keys(profiles) },
    warnings: unknown.map((name) => `the environment variable ${name} sets nothing`),
  })
}

function assertFits(content: unknown, shape: Shape, where: string): void {
  const problems = misfits(content, shape, '').map((misfit) => ({ ...misfit, where }))
  if (problems.length > 0) throw new ConfigInvalidError(problems)
}

function assertProfile(
  profile: string,
  profiles: Readonly<Record<string, unknown>>,
  where: string,
  file: string | undefined,
): void {
  if (Object.hasOwn(profiles, profile)) return
  const known = Object.keys(profiles)
  const what =
    file === undefined
      ? 'is asked for, and there is no configuration file that has it'
      : known.length === 0
        ? `is asked for, and ${file} has no profiles`
        : `is not in ${file}; ${advice(profile, known)}`
  throw new ConfigInvalidError([{ key: `profiles.${profile}`, what, where }])
}

function setFromEnvironment(
  settings: Settings,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const stores = (settings.get('stores') ?? {}) as Readonly<Record<string, unknown>>
  const found = environmentSettings(env, settingsShape, stores)
  if (found.misfits.length > 0) {
    throw new ConfigInvalidError(
      found.misfits.map(({ key, what, name }) => ({ key, what, where: `environment ${name}` })),
    )
  }
  for (const { key, value, name } of found.said) {
    settings.set(nested(key, value), settingsShape, '', { kind: 'environment', name })
  }
  return found.unknown
}

function setFlags(settings: Settings, flags: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(flags)) {
    if (value === undefined) continue
    const name = `--${key.replace(/^.*\./, '').replace(/[A-Z]/g, (one) => `-${one.toLowerCase()}`)}`
    const tree = nested(key, value)
    assertFits(tree, settingsShape, `flag ${name}`)
    settings.set(tree, settingsShape, '', { kind: 'flag', name })
  }
}

/** `{ server: { port: 1 } }` for `server.port`. */
function nested(key: string, value: unknown): unknown {
  return key.split('.').reduceRight<unknown>((inner, part) => ({ [part]: inner }), value)
}

/** What only shows when all layers are together. */
function assertComplete(settings: Settings): void {
  const said = (source: ConfigSource | undefined) =>
    source === undefined ? '' : `${source.kind} ${source.name}`.trim()
  const problems: ConfigProblem[] = lacking(settings.get(''), settingsShape, '').map((misfit) => ({
    ...misfit,
    where: said(settings.sourceOf(misfit.key.replace(/(\.[^.]*|\[\d+\].*)$/, ''))),
  }))
  const store = settings.get('store')
  const stores = (settings.get('stores') ?? {}) as Readonly<Record<string, unknown>>
  const names = Object.keys(stores)
  if (typeof store === 'string' && !store.includes(':') && !names.includes(store)) {
    const known = names.length === 0 ? 'stores is empty' : advice(store, names)
    problems.push({
      key: 'store',
      what: `is neither a url nor one of stores: ${JSON.stringify(store)}; ${known}`,
      where: said(settings.sourceOf('store')),
    })
  }
  if (problems.length > 0) throw new ConfigInvalidError(problems)
}
