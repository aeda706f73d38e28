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
  // Written out, so that it is one object of one shape: every append passes here.
  return {
    adapter: own.adapter ?? port.adapter,
    capabilities: own.capabilities ?? port.capabilities,
    incarnation: own.incarnation ?? port.incarnation,
    records: own.records ?? port.records,
    models: own.models ?? port.models,
    inlineProjections: own.inlineProjections ?? ((options) => port.inlineProjections(options)),
    append: own.append ?? ((request, options) => port.append(request, options)),
    transaction: own.transaction ?? ((work, options) => port.transaction(work, options)),
    join: own.join ?? ((client) => port.join(client)),
    readStream: own.readStream ?? ((query, options) => port.readStream(query, options)),
    eventById: own.eventById ?? ((stream, id, options) => port.eventById(stream, id, options)),
    stream: own.stream ?? ((name, options) => port.stream(name, options)),
    readLog: own.readLog ?? ((query, options) => port.readLog(query, options)),
    positions: own.positions ?? ((options) => port.positions(options)),
    streams: own.streams ?? ((query, options) => port.streams(query, options)),
    watch: own.watch ?? ((listener) => port.watch(listener)),
    settings: own.settings ?? (() => port.settings()),
    storage: own.storage ?? port.storage?.bind(port),
    pool: own.pool ?? port.pool?.bind(port),
    tune: own.tune ?? port.tune?.bind(port),
    faults: own.faults ?? ((options) => port.faults(options)),
    view: own.view ?? ((work, options) => port.view(work, options)),
    fork: own.fork ?? ((request, options) => port.fork(request, options)),
    close: own.close ?? (() => port.close()),
  }
}
