import type { VerifyOptions } from 'eventuali'
import { Refused } from './exit-codes.ts'
import { loadModule } from './load-module.ts'

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

/**
 * Loads modules and collects the projections and aggregates that they export. `names` leaves only
 * these projections. Throws Refused when nothing is found, or not what was named.
 */
export async function loadVerifiable(
  files: readonly string[],
  names: readonly string[] | undefined,
): Promise<Verifiable> {
  const found = new Set<Projection | Aggregate>()
  for (const file of files) {
    const definitions = Object.values(await loadModule(file, '--config')).flatMap(definitionsIn)
    if (definitions.length === 0) {
      throw new Refused(`${file} exports no projection and no aggregate; export what to verify`)
    }
    for (const definition of definitions) found.add(definition)
  }
  const all = [...found].filter((one): one is Projection => isKind(one, 'projection'))
  const aggregates = [...found].filter((one): one is Aggregate => !isKind(one, 'projection'))
  for (const name of names ?? []) {
    if (all.some((projection) => projection.name === name)) continue
    const known = all.map((projection) => projection.name).join(', ')
    throw new Refused(
      `no projection ${name} is exported; there is ${known === '' ? 'none' : known}`,
    )
  }
  const projections = all.filter(({ name }) => names === undefined || names.includes(name))
  return { projections, aggregates }
}
