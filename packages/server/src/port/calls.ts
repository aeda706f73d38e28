import type { LogQuery, ReadOptions, StoreTransaction, StreamQuery } from 'eventuali/ports'
import {
  type AppendRequest,
  assertAppendRequest,
  type EventStore,
  type StreamAccess,
} from 'eventuali/ports'
import type { Limits } from '../options.ts'
import type { Role } from '../role.ts'
import { wireEvent, wireInfo, wireOutcome, wirePage } from './answers.ts'
import type { CallName, InputOf } from './requests.ts'

/** Text of JSON that is passed on as it is. */
export class JsonText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** What a call is made on: the store, or a transaction of it. */
export type Target = StreamAccess & Pick<EventStore, 'records' | 'models'>

type Handler<N extends CallName, T> = (
  target: T,
  input: InputOf<N>,
  options: ReadOptions,
  limits: Limits,
) => Promise<unknown>

type Handlers<Names extends CallName, T> = { readonly [N in Names]: Handler<N, T> }

type SharedName =
  | 'append'
  | 'read-stream'
  | 'read-log'
  | 'event-by-id'
  | 'stream'
  | 'records.get'
  | 'records.list'
  | 'models.get'
  | 'models.find'
  | 'models.count'
  | 'models.rows'

const orNull = <T>(found: readonly (T | undefined)[]) => found.map((one) => one ?? null)

function countOf(asked: number | undefined, pageSize: number | undefined, limits: Limits): number {
  return Math.min(
    asked ?? limits.pageCountMax,
    pageSize ?? limits.pageCountMax,
    limits.pageCountMax,
  )
}

/** Calls that the store and a transaction have in common. */
export const sharedCalls: Handlers<SharedName, Target> = {
  append: async (target, input, options) => {
    const request = input as unknown as AppendRequest
    assertAppendRequest(request)
    return wireOutcome(await target.append(request, options))
  },
  'read-stream': async (target, input, options, limits) => {
    const count = countOf(input.limit, undefined, limits)
    if (count === 0) return { events: [], more: false }
    const pages = target.readStream({ ...input, limit: count } as StreamQuery, options)
    return new JsonText(await wirePage(pages, input.limit, count, limits))
  },
  'read-log': async (target, input, options, limits) => {
    const count = countOf(input.limit, input.pageSize, limits)
    if (count === 0) return { events: [], more: false }
    const pages = target.readLog({ ...input, limit: count } as LogQuery, options)
    return new JsonText(await wirePage(pages, input.limit, count, limits))
  },
  'event-by-id': async (target, { stream, id }, options) => {
    const event = await target.eventById(stream, id, options)
    return { event: event && wireEvent(event) }
  },
  stream: async (target, { stream }, options) => {
    const info = await target.stream(stream, options)
    return { info: info && wireInfo(info) }
  },
  'records.get': async ({ records }, { kind, keys }, options) =>
    orNull(await records.get(kind, keys, options)),
  'records.list': ({ records }, query, options) => records.list(query, options),
  'models.get': async ({ models }, { table, keys }, options) =>
    orNull(await models.get(table, keys, options)),
  'models.find': ({ models }, { table, query }, options) =>
    models.find(table, query as never, options),
  'models.count': ({ models }, { table, filters }, options) =>
    models.count(table, filters as never, options),
  'models.rows': ({ models }, { table, ...page }, options) => models.rows(table, page, options),
}

type StoreName = 'streams' | 'positions' | 'settings' | 'faults' | 'inline.list'
const FAULTS_MAX = 10_000

/** Calls of a store alone. */
export const storeCalls: Handlers<StoreName, EventStore> = {
  streams: async (store, input, options, limits) => {
    const limit = countOf(input.limit, undefined, limits)
    const streams: object[] = []
    if (limit > 0) {
      for await (const page of store.streams({ ...input, limit }, options)) {
        streams.push(...page.map(wireInfo))
      }
    }
    const isCut = input.limit === undefined || input.limit > limit
    return { streams, more: isCut && streams.length >= limit }
  },
  positions: (store, input, options) => store.positions({ ...input, ...options }),
  settings: (store) => store.settings(),
  faults: async (store, _input, options) => {
    const faults: object[] = []
    for await (const fault of store.faults(options)) {
      faults.push(fault)
      if (faults.length >= FAULTS_MAX) break
    }
    return faults
  },
  'inline.list': (store, _input, options) => store.inlineProjections(options),
}

type TransactionName = Exclude<CallName, SharedName | StoreName> | 'inline.list'

/** Calls of a transaction alone. */
export const transactionCalls: Handlers<TransactionName, StoreTransaction> = {
  'records.lock': async ({ records }, { kind, keys }, options) =>
    orNull(await records.lock(kind, keys, options)),
  'records.write': ({ records }, { changes }, options) => records.write(changes as never, options),
  'models.create': async ({ models }, table) => models.create(table as never),
  'models.drop': async ({ models }, { table }) => models.drop(table),
  'models.publish': async ({ models }, { view, table }) => models.publish(view, table),
  'models.unpublish': async ({ models }, { view }) => models.unpublish(view),
  'models.put': async ({ models }, { table, documents }, options) =>
    models.put(table, documents as never, options),
  'models.remove': async ({ models }, { table, keys }, options) =>
    models.remove(table, keys, options),
  'models.lock': async ({ models }, { table, keys }, options) => models.lock(table, keys, options),
  'inline.list': ({ inline }) => inline.list(),
  'inline.register': async ({ inline }, projection) => inline.register(projection),
  'inline.unregister': async ({ inline }, { name }) => inline.unregister(name),
  'newest-position': (tx, _input, options) => tx.newestPosition(options),
  barrier: async (tx, _input, options) => tx.barrier(options),
  recode: (tx, request, options) => tx.recode(request as never, options),
}

const reads: ReadonlySet<string> = new Set([
  'read-stream',
  'read-log',
  'event-by-id',
  'stream',
  'streams',
  'positions',
  'settings',
  'inline.list',
  'records.get',
  'records.list',
  'models.get',
  'models.find',
  'models.count',
  'models.rows',
])
/** What every other writer has to bear with, or what reaches beyond the log. */
const ofAdmins: ReadonlySet<string> = new Set([
  'faults',
  'inline.register',
  'inline.unregister',
  'recode',
])

/** What a caller must be allowed to do for a call. */
export function roleFor(name: string, input: unknown): Role {
  if (ofAdmins.has(name)) return 'admin'
  if (name === 'append') {
    // The end of a stream is an append as well.
    const { entries } = input as AppendRequest
    return entries.some(({ change }) => change !== undefined) ? 'admin' : 'write'
  }
  return reads.has(name) ? 'read' : 'write'
}
