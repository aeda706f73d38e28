import { type SchemaChange, schemaChanges } from './changes.ts'
import type { JsonSchema } from './json-schema.ts'
import { typeText } from './schema-shape.ts'

/** What a missing upcaster is written from. */
export interface StubSource {
  readonly type: string
  /** The version that it reads. */
  readonly from: number
  readonly before: JsonSchema | undefined
  /** Of the version after it, where it is known. */
  readonly after: JsonSchema | undefined
}

const TO_SAY = 'SAY_WHAT_OLD_EVENTS_HAVE'
const name = /^[A-Za-z_$][\w$]*$/

function fieldOf({ path }: SchemaChange): string | undefined {
  const field = path.slice('data.'.length)
  return name.test(field) ? field : undefined
}

/** Changes of the data's own fields; one below such a field is a change of the field. */
function ownChanges(changes: readonly SchemaChange[]): readonly SchemaChange[] {
  const found = new Map<string, SchemaChange>()
  for (const change of changes) {
    const [, field = ''] = change.path.split(/[.[]/)
    if (!name.test(field)) continue
    const isDeep = fieldOf(change) === undefined
    const own: SchemaChange = isDeep
      ? { kind: 'changed', path: `data.${field}`, what: `${change.path} is ${change.kind}` }
      : change
    const known = found.get(field)
    if (known === undefined || (!isToBeSaid(known) && isToBeSaid(own))) found.set(field, own)
  }
  return [...found.values()]
}

/**
 * The text of an upcaster, to be put into the definition. What only its author can know is a name
 * that does not exist, so that nobody deploys it as it is: the compiler asks for it.
 */
export function upcasterStub({ type, from, before, after }: StubSource): string {
  const changes = before && after ? schemaChanges(before, after) : []
  const heading = [
    `// ${type}: version ${from} as it is stored, to version ${from + 1}`,
    ...changes.map(({ kind, path, what }) => `//   ${kind} ${path}: ${what}`),
  ]
  const dataType = before === undefined ? 'Record<string, unknown>' : typeText(rooted(before))
  const own = ownChanges(changes)
  const removed = own.filter(({ kind }) => kind === 'removed')
  const side = before === undefined ? 'old' : 'new'
  const said =
    before === undefined || after === undefined
      ? [`${TO_SAY}, // nobody registered what the ${side} data looks like`]
      : own.filter(isToBeSaid).map((change) => line(change, removed))
  const signature = `${from}: (data: ${dataType}) =>`
  if (removed.length === 0) {
    const fields = ['...data,', ...said].map((text) => `  ${text}`)
    return [...heading, `${signature} ({`, ...fields, '}),'].join('\n')
  }
  const names = removed.map((change) => fieldOf(change)).join(', ')
  const fields = ['...rest,', ...said].map((text) => `    ${text}`)
  const taking = `  const { ${names}, ...rest } = data`
  return [...heading, `${signature} {`, taking, '  return {', ...fields, '  }', '},'].join('\n')
}

function rooted(schema: JsonSchema) {
  return { schema, root: schema }
}

/** Old data lacks it, or has it in another form. */
function isToBeSaid({ kind, what }: SchemaChange): boolean {
  if (kind === 'removed' || what === 'required → optional') return false
  return kind === 'changed' || !/^[^:]*\?:/.test(what)
}

function line(change: SchemaChange, removed: readonly SchemaChange[]): string {
  const field = fieldOf(change) as string
  const typeOf = ({ what }: SchemaChange) => what.slice(what.indexOf(':') + 2)
  const renamed =
    change.kind === 'added' ? removed.find((old) => typeOf(old) === typeOf(change)) : undefined
  const hint = renamed === undefined ? '' : `, or ${fieldOf(renamed)}, if that is its old name`
  return `${field}: ${TO_SAY}, // ${change.what}${hint}`
}
