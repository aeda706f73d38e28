import { openStore } from 'eventuali'
import { createServer } from '../packages/server/src/index.ts'
import { problemKinds } from '../packages/server/src/problem.ts'
import { plain } from './command-reference.ts'

/** A JSON schema, as far as the document of the server uses it. */
interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly description?: string
  readonly example?: unknown
  readonly enum?: readonly unknown[]
  readonly minimum?: number
  readonly format?: string
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
}

type Content = Readonly<Record<string, { readonly schema?: Schema }>>

interface Parameter {
  readonly name: string
  readonly in: string
  readonly required?: boolean
  readonly description?: string
  readonly schema: Schema
}

/** An operation of the document. */
export interface Operation {
  readonly tags: readonly string[]
  readonly summary: string
  readonly description: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly required?: boolean; readonly content: Content }
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content?: Content }>
  >
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

/** One operation with what a request of it looks like. */
export interface Sample {
  readonly method: string
  readonly path: string
  readonly body: unknown
  readonly operation: Operation
}

/** What the server says of itself. */
async function documentOfServer(): Promise<Document> {
  await using store = await openStore('memory:')
  const server = createServer(store, { auth: { anonymous: 'admin' } })
  const answer = await server.fetch(new Request('http://localhost/openapi.json'))
  await server.close()
  return (await answer.json()) as Document
}

const nameOf = (ref: string): string => ref.slice(ref.lastIndexOf('/') + 1)

/** A value that the schema takes: its example, or the smallest with all that is required. */
function sampleOf(schema: Schema, all: Document['components']['schemas']): unknown {
  const { $ref, example, type, anyOf, items, properties = {}, required = [] } = schema
  if ($ref !== undefined) return sampleOf(all[nameOf($ref)] ?? {}, all)
  if (example !== undefined) return example
  if (schema.enum !== undefined) return schema.enum[0]
  if (anyOf?.[0] !== undefined) return sampleOf(anyOf[0], all)
  if (type === 'array') return items === undefined ? [] : [sampleOf(items, all)]
  if (type === 'integer' || type === 'number') return Math.max(1, schema.minimum ?? 1)
  if (type === 'boolean') return true
  if (type === 'string') {
    return schema.format === 'date-time' ? '2026-01-05T09:00:00.000Z' : 'order-42'
  }
  if (type !== 'object') return {}
  const shown = Object.entries(properties).filter(
    ([name]) => required.includes(name) || name === 'data',
  )
  return Object.fromEntries(shown.map(([name, inner]) => [name, sampleOf(inner, all)]))
}

/** The path with a value in each place, and the parameters of the query that have to be there. */
function samplePath(path: string, { parameters = [] }: Operation, document: Document): string {
  const words: Readonly<Record<string, string>> = { command: 'place', id: 'LETTER' }
  const shown = (name: string, schema: Schema = {}): string => {
    const value = schema.example ?? words[name] ?? sampleOf(schema, document.components.schemas)
    return encodeURIComponent(String(value))
  }
  const filled = path.replace(/\{([^}]+)\}/g, (_all, name: string) =>
    shown(name, parameters.find((one) => one.in === 'path' && one.name === name)?.schema),
  )
  const query = parameters
    .filter((one) => one.in === 'query' && one.required === true)
    .map(({ name, schema }) => `${name}=${shown(name, schema)}`)
  return query.length === 0 ? filled : `${filled}?${query.join('&')}`
}

/** All operations in the order of the document, each with a request that fits. */
export function samplesOf(document: Document): Sample[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const schema = operation.requestBody?.content['application/json']?.schema
      const body = schema === undefined ? undefined : sampleOf(schema, document.components.schemas)
      return { method, path, body, operation }
    }),
  )
}

/** The requests that the page shows, for whoever wants to send them. */
export async function sampleRequests(): Promise<Request[]> {
  const document = await documentOfServer()
  return samplesOf(document).map(({ method, path, body, operation }) => {
    const url = `http://localhost${samplePath(path, operation, document)}`
    return new Request(url, {
      method: method.toUpperCase(),
      ...(body === undefined
        ? {}
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })
  })
}

/** A schema in a few words; named ones lead to their section. */
function shapeOf(schema: Schema | undefined): string {
  if (schema === undefined) return ''
  const { $ref, type, anyOf, items, properties } = schema
  if ($ref !== undefined) return `[${nameOf($ref)}](#${nameOf($ref).toLowerCase()})`
  if (schema.enum !== undefined) return schema.enum.map((one) => `\`${one}\``).join(' or ')
  if (anyOf !== undefined) return anyOf.map(shapeOf).join(' or ')
  if (type === 'array') return `list of ${shapeOf(items)}`
  if (properties === undefined) return type ?? 'any JSON'
  const parts = Object.entries(properties).map(([name, inner]) => {
    const isOptional = schema.required?.includes(name) !== true
    return `\`${name}\`${isOptional ? ' (optional)' : ''}: ${shapeOf(inner)}`
  })
  return parts.length === 0 ? 'object' : `{ ${parts.join(', ')} }`
}

function contentLines(content: Content): string[] {
  return Object.entries(content).map(([type, { schema }]) => `\`${type}\`: ${shapeOf(schema)}`)
}

function curl({ method, path, body, operation }: Sample, document: Document): string[] {
  const lines = [`curl -X ${method.toUpperCase()} -H "Authorization: Bearer $EVENTUALI_TOKEN"`]
  if (body !== undefined) {
    lines.push("  -H 'Content-Type: application/json'", `  -d '${JSON.stringify(body)}'`)
  }
  lines.push(`  "$SERVER${samplePath(path, operation, document)}"`)
  return ['```sh', lines.join(' \\\n'), '```', '']
}

function parameterTable({ parameters = [] }: Operation): string[] {
  if (parameters.length === 0) return []
  const rows = parameters.map(({ name, in: place, required, description, schema }) => {
    const need = required === true ? 'yes' : 'no'
    const text = plain(description ?? schema.description ?? '')
    return `| \`${name}\` | ${place} | ${shapeOf(schema)} | ${need} | ${text} |`
  })
  return ['| parameter | in | type | needed | meaning |', '|---|---|---|---|---|', ...rows, '']
}

function operationLines(sample: Sample, document: Document): string[] {
  const { method, path, operation } = sample
  const { summary, description, requestBody, responses } = operation
  const done = Object.entries(responses).filter(([status]) => status < '400')
  const refused = Object.keys(responses).filter((status) => status >= '400')
  return [
    `### ${summary}`,
    '',
    `\`${method.toUpperCase()} ${path}\``,
    '',
    ...description.split('\n\n').flatMap((part) => [plain(part), '']),
    ...parameterTable(operation),
    ...(requestBody === undefined
      ? []
      : [`Body${requestBody.required === true ? '' : ', may be left out'}:`, '']),
    ...contentLines(requestBody?.content ?? {}).map((line) => `- ${line}`),
    ...(requestBody === undefined ? [] : ['']),
    ...done.map(([status, { description: text, content = {} }]) => {
      return `- **${status}** ${plain(text)}${contentLines(content)
        .map((line) => `; ${line}`)
        .join('')}`
    }),
    `- refused: ${refused.map((status) => `${status}`).join(', ')}, see [problems](#problems)`,
    '',
    ...curl(sample, document),
  ]
}

function schemaLines(name: string, { properties = {}, required = [] }: Schema): string[] {
  const rows = Object.entries(properties).map(([field, schema]) => {
    const need = required.includes(field) ? 'yes' : 'no'
    return `| \`${field}\` | ${shapeOf(schema)} | ${need} | ${plain(schema.description ?? '')} |`
  })
  return [
    `### ${name}`,
    '',
    '| field | type | always | meaning |',
    '|---|---|---|---|',
    ...rows,
    '',
  ]
}

/** The page of the HTTP API, made from the document that the server answers with. */
export async function httpReference(): Promise<string> {
  const document = await documentOfServer()
  const samples = samplesOf(document)
  const tags = [...new Set(samples.map(({ operation }) => operation.tags[0] ?? 'Other'))]
  const problems = Object.entries(problemKinds).map(
    ([code, { status, title }]) => `| ${status} | \`${code}\` | ${title} |`,
  )
  const lines = [
    '# HTTP reference',
    '',
    '<!-- Generated: node tools/reference.ts --write -->',
    '',
    'What `eventuali serve` answers; a running server has the same as `/openapi.json`.',
    '[The server](../guide/server.md) says who may ask and how feeds, webhooks and metrics work.',
    'In the examples `$SERVER` is its address, and `$EVENTUALI_TOKEN` an API key or a JWT.',
    '',
    ...tags.flatMap((tag) => [
      `## ${tag}`,
      '',
      ...samples
        .filter(({ operation }) => (operation.tags[0] ?? 'Other') === tag)
        .flatMap((sample) => operationLines(sample, document)),
    ]),
    '## Problems',
    '',
    'A refusal is `application/problem+json`, see [Problem](#problem). Its `code` is stable; what to',
    'do about those of the library stands in [errors](../errors.md).',
    '',
    '| status | code | meaning |',
    '|---|---|---|',
    ...problems,
    '',
    '## Schemas',
    '',
    ...Object.entries(document.components.schemas).flatMap(([name, schema]) =>
      schemaLines(name, schema),
    ),
  ]
  return `${lines.join('\n').trim()}\n`
}
