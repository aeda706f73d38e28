import type { EventStore } from './event-store.ts'

/**
 * A store with some of its calls replaced: what a decorator is made of. Calls keep their `this`,
 * and what a store lacks stays lacking.
 *
 * @example
 * ```ts
 * import { overStore } from 'eventuali/ports'
 * import { openMemoryStore } from 'eventuali/testing'
 *
 * const inner = await openMemoryStore()
 * let appends = 0
 * const counted = overStore(inner, {
 *   append: (request, options) => {
 *     appends++
 *     return inner.append(request, options)
 *   },
 * })
 * await counted.close()
 * console.log(appends) // 0
 * ```
 */
export function overStore(port: EventStore, own: Partial<EventStore>): EventStore {
  return {
    adapter: port.adapter,
    capabilities: port.capabilities,
    incarnation: port.incarnation,
    records: port.records,
    models: port.models,
    inlineProjections: (options) => port.inlineProjections(options),
    append: (request, options) => port.append(request, options),
    transaction: (work, options) => port.transaction(work, options),
    join: (client) => port.join(client),
    readStream: (query, options) => port.readStream(query, options),
    eventById: (stream, id, options) => port.eventById(stream, id, options),
    stream: (name, options) => port.stream(name, options),
    readLog: (query, options) => port.readLog(query, options),
    positions: (options) => port.positions(options),
    streams: (query, options) => port.streams(query, options),
    watch: (listener) => port.watch(listener),
    settings: () => port.settings(),
    pool: port.pool?.bind(port),
    tune: port.tune?.bind(port),
    faults: (options) => port.faults(options),
    fork: (request, options) => port.fork(request, options),
    close: () => port.close(),
    ...own,
  }
}
