import { z } from '@hono/zod-openapi'
import { readJson } from './body.ts'
import { Failure } from './failure.ts'
import type { RequestContext } from './parts.ts'
import type { Role } from './role.ts'

/** What one answer looks like. */
export interface Answer {
  readonly description: string
  readonly schema?: z.ZodType | undefined
  /** `application/json` when left out. */
  readonly mediaTypes?: readonly string[] | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

type Shape = z.ZodType | undefined
type Output<S> = S extends z.ZodType ? z.output<S> : undefined

/** What a handler gets of a request, checked. */
export interface Input<P extends Shape, Q extends Shape, B extends Shape> {
  readonly params: Output<P>
  readonly query: Output<Q>
  readonly body: Output<B>
  readonly mediaType: string
}

/** One endpoint: what the document says of it is what it checks. */
export interface Endpoint<
  P extends Shape = Shape,
  Q extends Shape = Shape,
  B extends Shape = Shape,
> {
  readonly method: 'get' | 'post' | 'delete'
  /** As OpenAPI has it: `/v1/streams/{stream}`. */
  readonly path: string
  readonly tag: string
  readonly summary: string
  readonly description?: string | undefined
  readonly role: Role
  readonly params?: P
  readonly query?: Q
  readonly body?: B
  /** Bodies of other media types than `application/json`; the handler sees which one it is. */
  readonly otherBodies?: Readonly<Record<string, z.ZodType>> | undefined
  /** Whether the body may be left out; it is `{}` then. */
  readonly isBodyOptional?: boolean | undefined
  /** Headers that it takes, for the document. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly answers: Readonly<Record<number, Answer>>
  /** Statuses of errors beside those that every endpoint has. */
  readonly errors?: readonly number[] | undefined
  readonly handle: (input: Input<P, Q, B>, context: RequestContext) => Promise<Response>
}

/** An endpoint, its types inferred from its schemas. */
export function endpoint<
  P extends Shape = undefined,
  Q extends Shape = undefined,
  B extends Shape = undefined,
>(parts: Endpoint<P, Q, B>): Endpoint {
  return parts as unknown as Endpoint
}

/** The query of a url as zod sees it: a name that comes twice is a list. */
function queryOf(url: URL): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = Object.create(null)
  for (const [name, value] of url.searchParams) {
    const held = query[name]
    query[name] = held === undefined ? value : [held, value].flat()
  }
  return { ...query }
}

function checked<S extends z.ZodType>(schema: S, value: unknown, where: string): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issues = result.error.issues.slice(0, 20).map(({ path, message }) => ({
    path: [where, ...path].map(String).join('.'),
    message,
  }))
  const [first] = issues
  const text = first === undefined ? where : `${first.path}: ${first.message}`
  const rest = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
  throw new Failure('REQUEST_INVALID', `${text}${rest}`, { fields: { issues } })
}

/** Checks what was asked for and has it handled. Throws Failure, and what the store throws. */
export async function run(
  { params, query, body, otherBodies = {}, isBodyOptional, handle }: Endpoint,
  pathParams: Readonly<Record<string, string>>,
  context: RequestContext,
): Promise<Response> {
  const url = new URL(context.request.url)
  const mediaTypes = ['application/json', ...Object.keys(otherBodies)]
  const read =
    body === undefined
      ? { mediaType: '', value: undefined }
      : await readJson(context.request, mediaTypes, context.parts.limits.bodyBytesMax)
  const schema = otherBodies[read.mediaType] ?? body
  const value = read.value === undefined && isBodyOptional === true ? {} : read.value
  const input = {
    params: params === undefined ? undefined : checked(params, pathParams, 'path'),
    query: checked(query ?? z.strictObject({}), queryOf(url), 'query'),
    body: schema === undefined ? undefined : checked(schema, value, 'body'),
    mediaType: read.mediaType,
  }
  return handle(input as Input<Shape, Shape, Shape>, context)
}
