import { writeFileSync } from 'node:fs'
import { openStore } from '../packages/eventuali/src/index.ts'
import { createServer } from '../packages/server/src/index.ts'
import { problemKinds } from '../packages/server/src/problem.ts'
import { exampleOf, type JsonSchema, type Schemas, schemaLines, typeText } from './json-schema.ts'

const page = 'docs/reference/http.md'
const command = 'node tools/http-reference.ts'
const place = 'http://127.0.0.1:4400'

type Content = Readonly<Record<string, { readonly schema?: JsonSchema }>>

interface Parameter {
  readonly name: string
  readonly in: string
  readonly required?: boolean
  readonly description?: string
  readonly schema?: JsonSchema
}

interface Operation {
  readonly summary: string
  readonly description: string
  readonly tags: readonly string[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly required?: boolean; readonly content: Content }
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly description: string
        readonly content?: Content
        readonly headers?: Readonly<Record<string, { readonly description: string }>>
      }
    >
  >
}

/** An OpenAPI document, as far as the page shows it. */
export interface ShownDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components?: { readonly schemas?: Schemas }
}

/** One request that an operation takes, made from its schemas. */
export interface ExampleRequest {
  readonly method: string
  readonly path: string
  readonly body?: string
}

interface Entry {
  readonly method: string
  readonly path: string
  readonly operation: Operation
}

function entriesOf(document: ShownDocument): readonly Entry[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      ...{ method: method.toUpperCase(), path, operation },
    })),
  )
}

function exampleRequest({ method, path, operation }: Entry, schemas: Schemas): ExampleRequest {
  const { parameters = [], requestBody } = operation
  const valueOf = ({ schema = {} }: Parameter): string => {
    const value = exampleOf(schema, schemas)
    return encodeURIComponent(typeof value === 'string' ? value : JSON.stringify(value))
  }
  const at = path.replace(/\{(\w+)\}/g, (_all, name: string) => {
    const found = parameters.find((one) => one.in === 'path' && one.name === name)
    if (found === undefined) throw new Error(`${path}: the document does not describe ${name}`)
    return valueOf(found)
  })
  const asked = parameters.filter(
    (one) => one.in === 'query' && (one.required === true || one.schema?.example !== undefined),
  )
  const query = asked.map((one) => `${one.name}=${valueOf(one)}`).join('&')
  const schema = requestBody?.content['application/json']?.schema
  const body = schema === undefined ? undefined : JSON.stringify(exampleOf(schema, schemas))
  const isNeeded = requestBody?.required === true || (body !== undefined && body !== '{}')
  return {
    method,
    path: `${at}${query === '' ? '' : `?${query}`}`,
    ...(isNeeded && body !== undefined ? { body } : {}),
  }
}

/** A request for each operation, in the document's order. */
export function exampleRequests(document: ShownDocument): readonly ExampleRequest[] {
  const schemas = document.components?.schemas ?? {}
  return entriesOf(document).map((entry) => exampleRequest(entry, schemas))
}

/** The request as a shell takes it; the key or token is in EVENTUALI_TOKEN. */
export function curlOf({ method, path, body }: ExampleRequest): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
  const parts = [
    `curl ${method === 'GET' ? '' : `-X ${method} `}${quoted(`${place}${path}`)}`,
    '-H "Authorization: Bearer $EVENTUALI_TOKEN"',
    ...(body === undefined ? [] : ["-H 'Content-Type: application/json'", `-d ${quoted(body)}`]),
  ]
  return parts.join(' \\\n  ')
}

const escaped = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;')

const isProblem = (status: string): boolean => Number(status) >= 400

function codesOf(status: string): string {
  const codes = Object.entries(problemKinds).filter(([, kind]) => kind.status === Number(status))
  return codes.map(([code]) => `\`${code}\``).join(', ')
}

/** Statuses that every operation may answer with. */
function commonStatuses(entries: readonly Entry[]): ReadonlySet<string> {
  const [first] = entries
  const statuses = Object.keys(first?.operation.responses ?? {}).filter(isProblem)
  return new Set(
    statuses.filter((status) =>
      entries.every(({ operation }) => operation.responses[status] !== undefined),
    ),
  )
}

function parameterTable({ parameters = [] }: Operation): string[] {
  if (parameters.length === 0) return []
  return [
    '| parameter | in | type | required | meaning |',
    '|---|---|---|---|---|',
    ...parameters.map(({ name, in: where, schema = {}, required, description }) => {
      const meaning = escaped(description ?? schema.description ?? '')
      const must = required === true ? 'yes' : 'no'
      return `| \`${name}\` | ${where} | ${typeText(schema)} | ${must} | ${meaning} |`
    }),
    '',
  ]
}

function bodyText({ requestBody }: Operation): string[] {
  if (requestBody === undefined) return []
  const must = requestBody.required === true ? 'required' : 'may be left out'
  return Object.entries(requestBody.content).flatMap(([type, { schema = {} }], index) => [
    `Body \`${type}\`${index === 0 ? ` (${must})` : ''}: ${typeText(schema)}.`,
    '',
    ...schemaLines(schema),
  ])
}

function contentText(content: Content = {}): string {
  const shown = Object.entries(content).map(([type, { schema }]) =>
    schema === undefined ? `\`${type}\`` : `\`${type}\`: ${typeText(schema)}`,
  )
  return shown.join('; ')
}

function responseTable({ responses }: Operation, common: ReadonlySet<string>): string[] {
  const rows = Object.entries(responses).filter(([status]) => !common.has(status))
  return [
    '| status | meaning | content or problem codes |',
    '|---|---|---|',
    ...rows.map(([status, { description, content, headers = {} }]) => {
      const sent = Object.entries(headers).map(
        ([name, header]) => `header \`${name}\`: ${escaped(header.description)}`,
      )
      const inside = isProblem(status) ? codesOf(status) : contentText(content)
      const shown = [inside, ...sent].filter((text) => text !== '').join('; ')
      return `| ${status} | ${escaped(description)} | ${shown} |`
    }),
    '',
  ]
}

function operationSection(
  entry: Entry,
  schemas: Schemas,
  common: ReadonlySet<string>,
): readonly string[] {
  const { method, path, operation } = entry
  const [, text = '', role = ''] =
    /^([^]*?)\s*Needs the role (\w+)\.$/.exec(operation.description) ?? []
  if (role === '') throw new Error(`${method} ${path}: the document does not say which role`)
  return [
    `### ${operation.summary}`,
    '',
    `\`${method} ${path}\`, role \`${role}\``,
    '',
    ...(text === '' ? [] : [escaped(text), '']),
    ...parameterTable(operation),
    ...bodyText(operation),
    ...responseTable(operation, common),
    ...['```sh', curlOf(exampleRequest(entry, schemas)), '```', ''],
  ]
}

function commonTable(entries: readonly Entry[], common: ReadonlySet<string>): string[] {
  const responses = entries[0]?.operation.responses ?? {}
  return [
    '| status | meaning | problem codes |',
    '|---|---|---|',
    ...[...common].map(
      (status) =>
        `| ${status} | ${escaped(responses[status]?.description ?? '')} | ${codesOf(status)} |`,
    ),
    '',
  ]
}

/** The text of docs/reference/http.md: every operation of the document, by tag. */
export function httpPage(document: ShownDocument): string {
  const entries = entriesOf(document)
  const schemas = document.components?.schemas ?? {}
  const common = commonStatuses(entries)
  const tags = [...new Set(entries.map(({ operation }) => operation.tags[0] ?? 'Other'))]
  return [
    '# HTTP reference',
    '',
    `<!-- Written by "${command}" from the OpenAPI document of the server. -->`,
    '',
    'Every operation of [the server](../guide/server.md), which tells how it is started, who is let in',
    'and what the answers mean. A running server shows the same at `/reference`, and for programs at',
    '`/openapi.json` (OpenAPI 3.1). Examples go to one at its usual address, with a key or token in',
    '`EVENTUALI_TOKEN`; one that lets you in without needs no such header.',
    '',
    '## Errors',
    '',
    'An error is `application/problem+json` (RFC 9457): a [Problem](#problem) with a stable `code`. What',
    'the codes mean and what to do about them is told in [errors](../errors.md) for those of the library.',
    'Any operation may answer with these; the tables below name what comes in addition.',
    '',
    ...commonTable(entries, common),
    ...tags.flatMap((tag) => [
      `## ${tag}`,
      '',
      ...entries
        .filter(({ operation }) => (operation.tags[0] ?? 'Other') === tag)
        .flatMap((entry) => operationSection(entry, schemas, common)),
    ]),
    '## Schemas',
    '',
    ...Object.entries(schemas).flatMap(([name, schema]) => [
      `### ${name}`,
      '',
      `${typeText(schema)}.`,
      '',
      ...schemaLines(schema),
    ]),
  ]
    .join('\n')
    .replace(/\n+$/, '\n')
}

/** The document that a server has, whatever its store. */
export async function servedDocument(): Promise<ShownDocument> {
  const store = await openStore('memory:')
  const server = createServer(store)
  try {
    const answer = await server.fetch(new Request(`${place}/openapi.json`))
    if (!answer.ok) throw new Error(`/openapi.json answers ${answer.status}`)
    return (await answer.json()) as ShownDocument
  } finally {
    await server.close()
    await store.close()
  }
}

/** What the page says, as the server is now. */
export async function expectedHttpPage() {
  return { page, command, text: httpPage(await servedDocument()) }
}

if (import.meta.main) {
  const { text } = await expectedHttpPage()
  writeFileSync(page, text)
  console.log(`${page}: ${text.split('\n').length} lines`)
}
