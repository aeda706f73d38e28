import { z } from '@hono/zod-openapi'
import { CapabilityError, InvalidArgumentError, LogChangedError } from 'eventuali'
import type { ReadOptions, StoreTransaction } from 'eventuali/ports'
import { readJson } from '../body.ts'
import { Failure } from '../failure.ts'
import { json, type RequestContext } from '../parts.ts'
import { includes } from '../role.ts'
import { JsonText, roleFor, sharedCalls, storeCalls, transactionCalls } from './calls.ts'
import { callOptions, requests } from './requests.ts'
import { watchResponse } from './watch.ts'

/** The version of this group of endpoints; clients ask for it before anything else. */
const PROTOCOL = 1

const JSON_ONLY = ['application/json']
const beginRequest = z.strictObject({ timeoutMs: z.number().positive().optional() })

function checked<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const where = issue?.path.map(String).join('.') ?? ''
  throw new Failure('REQUEST_INVALID', `${where}: ${issue?.message ?? 'does not fit'}`)
}

async function bodyOf({ request, parts }: RequestContext): Promise<unknown> {
  return (await readJson(request, JSON_ONLY, parts.limits.bodyBytesMax)).value
}

interface ReadCall {
  readonly input: never
  readonly options: ReadOptions
}

async function readCall(name: string, context: RequestContext): Promise<ReadCall> {
  const schema = Object.hasOwn(requests, name) ? requests[name as keyof typeof requests] : undefined
  if (schema === undefined) throw new Failure('NOT_FOUND', `the port has no call ${name}`)
  const body = checked(
    z.strictObject({ input: z.unknown(), options: z.unknown() }),
    await bodyOf(context),
  )
  const input = checked(schema, body.input ?? {})
  const options = checked(callOptions, body.options ?? {})
  const wanted = roleFor(name, input)
  if (!includes(context.principal.role, wanted)) {
    throw new Failure('ACCESS_DENIED', `${name} needs the role ${wanted}`)
  }
  const { timeoutMs: mostMs } = context.parts.limits
  const timeoutMs = Math.min(options.timeoutMs ?? mostMs, mostMs)
  return {
    input: input as never,
    options: { timeoutMs, signal: context.signal, ...freshOf(options) },
  }
}

/** Infinity, however old, is null in JSON. */
function freshOf({ fresh }: z.output<typeof callOptions>): Pick<ReadOptions, 'fresh'> {
  if (fresh === undefined || fresh === 'primary') return fresh === undefined ? {} : { fresh }
  const { position, withinMs } = fresh
  const isEver = withinMs === null
  return { fresh: { position, withinMs: isEver ? Number.POSITIVE_INFINITY : withinMs } }
}

function answered(value: unknown): Response {
  if (!(value instanceof JsonText)) return json(value ?? null)
  return new Response(value.text, { headers: { 'content-type': 'application/json' } })
}

async function callStore(name: string, context: RequestContext): Promise<Response> {
  const { port } = context.parts.store
  const { input, options } = await readCall(name, context)
  const { limits } = context.parts
  if (Object.hasOwn(sharedCalls, name)) {
    const handle = sharedCalls[name as keyof typeof sharedCalls]
    return answered(await handle(port, input, options, limits))
  }
  if (!Object.hasOwn(storeCalls, name)) {
    throw new Failure('REQUEST_INVALID', `${name} is a call of a transaction`)
  }
  return answered(await storeCalls[name as keyof typeof storeCalls](port, input, options, limits))
}

async function inTransaction(
  tx: StoreTransaction,
  name: string,
  { input, options }: ReadCall,
  { parts }: RequestContext,
): Promise<unknown> {
  if (Object.hasOwn(sharedCalls, name)) {
    return sharedCalls[name as keyof typeof sharedCalls](tx, input, options, parts.limits)
  }
  if (!Object.hasOwn(transactionCalls, name)) {
    throw new Failure('REQUEST_INVALID', `${name} is a call of the store`)
  }
  const handle = transactionCalls[name as keyof typeof transactionCalls]
  return handle(tx, input, options, parts.limits)
}

async function callTransaction(
  id: string,
  name: string,
  context: RequestContext,
): Promise<Response> {
  const { parts, principal } = context
  const transaction = parts.transactions.get(id, principal)
  switch (name) {
    case 'commit':
      await transaction.commit()
      return json(null)
    case 'rollback':
      await transaction.rollback()
      return json(null)
    case 'savepoint.begin':
      await transaction.beginSavepoint()
      return json(null)
    case 'savepoint.release':
    case 'savepoint.rollback':
      await transaction.endSavepoint(name === 'savepoint.release' ? 'release' : 'rollback')
      return json(null)
  }
  const call = await readCall(name, context)
  if (name === 'models.create') assertDocuments(call.input, context)
  return answered(await transaction.call((tx) => inTransaction(tx, name, call, context)))
}

/** SQL from a client would run with the rights of the server. */
function assertDocuments(
  table: { readonly shape: { readonly kind: string } },
  context: RequestContext,
) {
  if (table.shape.kind === 'documents') return
  const why = "SQL from a client would run with the server's rights on its whole database"
  throw new CapabilityError(context.parts.store.adapter, 'sql over HTTP', why)
}

async function begin(context: RequestContext): Promise<Response> {
  const { timeoutMs } = checked(beginRequest, (await bodyOf(context)) ?? {})
  const transaction = await context.parts.transactions.begin(context.principal, timeoutMs)
  // Whoever asked has gone while it waited for the writer: nobody knows the id.
  if (context.signal.aborted) await transaction.rollback()
  return json({ id: transaction.id }, 201)
}

/**
 * The store's own port over HTTP, for clients of this library: `eventuali/client`. It is private to
 * them: it changes with its version, not with that of the public endpoints.
 */
export async function portRequest(
  method: string,
  path: readonly string[],
  context: RequestContext,
): Promise<Response> {
  const { store } = context.parts
  const asked = context.request.headers.get('eventuali-incarnation')
  if (asked !== null && asked !== store.incarnation) {
    throw new LogChangedError(asked, store.incarnation)
  }
  const [first, second, third] = path
  if (method === 'GET' && first === undefined) {
    const { durable } = store.capabilities
    return json({ protocol: PROTOCOL, incarnation: store.incarnation, durable })
  }
  if (method === 'GET' && first === 'watch') return watchResponse(context)
  if (method !== 'POST' || first === undefined) {
    throw new Failure('METHOD_NOT_ALLOWED', 'calls of the port are POST', {
      headers: { allow: 'GET, POST' },
    })
  }
  if (first !== 'transactions') return callStore(first, context)
  if (!includes(context.principal.role, 'write')) {
    throw new Failure('ACCESS_DENIED', 'a transaction needs the role write')
  }
  if (second === undefined) return begin(context)
  if (third === undefined) throw new InvalidArgumentError('path', 'names no call')
  return callTransaction(second, third, context)
}
