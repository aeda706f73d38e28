import { basename } from 'node:path'
import { isConfig, type VerifyOptions } from 'eventuali'
import { Refused, UsageError } from './exit-codes.ts'
import { loadModule } from './load-module.ts'
import type { Session } from './session.ts'

type Projection = NonNullable<VerifyOptions['projections']>[number]
type Aggregate = NonNullable<VerifyOptions['aggregates']>[number]

/** What modules export that can be verified. */
export interface Verifiable {
  readonly projections: readonly Projection[]
  readonly aggregates: readonly Aggregate[]
}

function isKind(value: object, kind: string): boolean {
  return (value as { readonly kind?: unknown }).kind === kind
}

/** The definitions in one exported value; lists are looked into. */
function definitionsIn(value: unknown): readonly (Projection | Aggregate)[] {
  if (Array.isArray(value)) return value.flatMap(definitionsIn)
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return []
  const isClass = typeof (value as { readonly aggregateName?: unknown }).aggregateName === 'string'
  const isOurs = isKind(value, 'projection') || isKind(value, 'aggregate') || isClass
  return isOurs ? [value as Projection | Aggregate] : []
}

/** Whether a file of `--config` is the configuration, and not a module with definitions. */
async function isConfiguration(file: string): Promise<boolean> {
  if (basename(file).startsWith('eventuali.config.')) return true
  return isConfig((await loadModule(file, '--config')).default)
}

async function definitionsOf(
  files: readonly string[],
): Promise<readonly (Projection | Aggregate)[]> {
  const found = new Set<Projection | Aggregate>()
  for (const file of files) {
    const definitions = Object.values(await loadModule(file, '--config')).flatMap(definitionsIn)
    if (definitions.length === 0) {
      throw new Refused(`${file} exports no projection and no aggregate; export what to verify`)
    }
    for (const definition of definitions) found.add(definition)
  }
  return [...found]
}

/**
 * The projections and aggregates that are folded again: those that the modules among the files of
 * `--config` export, or else the configuration's. Of the latter only named projections are, since
 * that writes to the store. `names` leaves only these. Throws Refused when nothing is found, or not
 * what was named.
 */
export async function loadVerifiable(
  session: Session,
  names: readonly string[] | undefined,
): Promise<Verifiable> {
  const { files, profile } = session.choice
  const kinds = await Promise.all((files || []).map(isConfiguration))
  const modules = (files || []).filter((_file, at) => !kinds[at])
  if (files !== false) {
    session.choose({ files: files.filter((_file, at) => kinds[at]), profile })
  }
  const isExported = modules.length > 0
  const config = isExported ? undefined : await session.config()
  if (config?.projections.length === 0 && names !== undefined) {
    throw new UsageError(
      'where are the projections? Give --config with a module or configuration that has them',
    )
  }
  const found = config
    ? [...(names === undefined ? [] : config.projections), ...config.aggregates]
    : await definitionsOf(modules)
  const all = found.filter((one): one is Projection => isKind(one, 'projection'))
  const aggregates = found.filter((one): one is Aggregate => !isKind(one, 'projection'))
  for (const name of names ?? []) {
    if (all.some((projection) => projection.name === name)) continue
    const known = all.map((projection) => projection.name).join(', ')
    const where = isExported ? 'exported' : 'in the configuration'
    throw new Refused(
      `no projection ${name} is ${where}; there is ${known === '' ? 'none' : known}`,
    )
  }
  const projections = all.filter(({ name }) => names === undefined || names.includes(name))
  return { projections, aggregates }
}
