import { OpenAPIHono, z } from '@hono/zod-openapi'
import type { Endpoint } from './endpoint.ts'
import * as shapes from './shapes.ts'

/** An OpenAPI document, as far as anybody here looks into it. */
export interface OpenApiDocument {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly [name: string]: unknown
}

/** Errors that any endpoint may answer with. */
const everywhere = [400, 401, 403, 404, 405, 422, 429, 500, 503, 504]

const descriptions: Readonly<Record<number, string>> = {
  400: 'The request cannot be read',
  401: 'Nobody has said who asks',
  403: 'Whoever asks may not, or not from there',
  404: 'There is no such thing',
  405: 'Not with this method',
  409: 'It does not go together with what is there',
  410: 'The versions were removed',
  412: 'The ETag is not the current one',
  413: 'Too large',
  415: 'This media type is not understood',
  422: 'The request does not fit',
  429: 'Too many requests',
  500: 'The server has failed',
  501: 'This store cannot do it',
  503: 'Try again later; nothing was stored',
  504: 'It is not known whether it was stored',
}

function problemAnswer(status: number) {
  return {
    description: descriptions[status] ?? 'Refused',
    content: { 'application/problem+json': { schema: shapes.problem } },
  }
}

function answersOf({ answers, errors = [] }: Endpoint) {
  const all: Record<string, object> = {}
  for (const [status, answer] of Object.entries(answers)) {
    const { description, schema, mediaTypes = ['application/json'], headers = {} } = answer
    const content = Object.fromEntries(
      mediaTypes.map((type) => [
        type,
        { schema: type === shapes.mediaTypes.cloudEvents ? z.array(shapes.cloudEvent) : schema },
      ]),
    )
    const shown = Object.entries(headers).map(([name, text]) => [
      name,
      { description: text, schema: { type: 'string' as const } },
    ])
    all[status] = {
      description,
      ...(schema === undefined ? {} : { content }),
      ...(shown.length === 0 ? {} : { headers: Object.fromEntries(shown) }),
    }
  }
  for (const status of [...everywhere, ...errors]) all[status] ??= problemAnswer(status)
  // Said by Node itself, before anybody here sees the request: without a body.
  all[431] = { description: 'The url or the headers are too long' }
  return all
}

function bodyOf({ body, otherBodies = {}, isBodyOptional }: Endpoint) {
  if (body === undefined) return undefined
  const content = Object.entries({ 'application/json': body, ...otherBodies })
  return {
    required: isBodyOptional !== true,
    content: Object.fromEntries(content.map(([type, schema]) => [type, { schema }])),
  }
}

function headersOf({ headers }: Endpoint) {
  if (headers === undefined) return undefined
  const parts = Object.entries(headers).map(([name, description]) => [
    name,
    z.string().optional().openapi({ description }),
  ])
  return z.object(Object.fromEntries(parts))
}

/** The document of these endpoints: made from what checks their requests. */
export function documentOf(
  endpoints: readonly Endpoint[],
  version: string,
  isOpen: boolean,
): OpenApiDocument {
  const app = new OpenAPIHono()
  const registry = app.openAPIRegistry
  registry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key, or a JWT of the issuer that the server trusts.',
  })
  registry.registerComponent('securitySchemes', 'apiKey', {
    type: 'apiKey',
    in: 'header',
    name: 'X-API-Key',
  })
  for (const endpoint of endpoints) {
    const { method, path, tag, summary, description, role, params, query } = endpoint
    const body = bodyOf(endpoint)
    const headers = headersOf(endpoint)
    registry.registerPath({
      ...{ method, path, tags: [tag], summary },
      operationId: operationIdOf(endpoint),
      description: `${description === undefined ? '' : `${description}\n\n`}Needs the role ${role}.`,
      request: {
        ...(params === undefined ? {} : { params: params as never }),
        ...(query === undefined ? {} : { query: query as never }),
        ...(headers === undefined ? {} : { headers: headers as never }),
        ...(body === undefined ? {} : { body: body as never }),
      },
      responses: answersOf(endpoint) as never,
    })
  }
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Eventuali',
      version,
      description: 'An event store over HTTP: append, read, follow, and look after it.',
      license: { name: 'MIT' },
    },
    servers: [{ url: '.' }],
    // An empty alternative: whoever shows nothing is let in too.
    security: [{ bearer: [] }, { apiKey: [] }, ...(isOpen ? [{}] : [])],
  }) as unknown as OpenApiDocument
}

/** `get /v1/streams/{stream}/events` is `getStreamsStreamEvents`. */
function operationIdOf({ method, path }: Endpoint): string {
  const words = path.match(/[A-Za-z]+/g) ?? []
  const rest = words.filter((word) => word !== 'v')
  return method + rest.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}
