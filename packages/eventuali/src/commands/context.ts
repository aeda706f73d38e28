import { AsyncLocalStorage } from 'node:async_hooks'
import type { EventMetadata, RecordedEvent } from '../model/index.ts'

const storage = new AsyncLocalStorage<EventMetadata>()

/**
 * Runs `work` with metadata that every event appended inside gets by itself: `correlationId`,
 * `causationId`, `actor`, `tenant` and free keys. Calls nest, the inner one wins key by key; what
 * an event says itself wins over all.
 *
 * @example
 * ```ts
 * import { currentContext, withContext } from 'eventuali'
 *
 * withContext({ actor: 'ada', correlationId: 'request-7' }, () => {
 *   console.log(currentContext()?.actor) // ada
 * })
 * ```
 */
export function withContext<T>(context: EventMetadata, work: () => T): T {
  const outer = storage.getStore()
  return storage.run(outer === undefined ? context : { ...outer, ...context }, work)
}

/**
 * The metadata that the surrounding `withContext` calls give, or undefined outside of any.
 *
 * @example
 * ```ts
 * import { currentContext } from 'eventuali'
 *
 * console.log(currentContext()) // undefined
 * ```
 */
export function currentContext(): EventMetadata | undefined {
  return storage.getStore()
}

/**
 * The context in which to react to an event: it is the cause, its correlation goes on.
 *
 * @example
 * ```ts
 * import { contextOf, type RecordedEvent, withContext } from 'eventuali'
 *
 * export const reactTo = (event: RecordedEvent, react: () => Promise<void>) =>
 *   withContext(contextOf(event), react)
 * ```
 */
export function contextOf(event: RecordedEvent): EventMetadata {
  const { correlationId, tenant } = event.metadata
  return {
    correlationId: correlationId ?? event.id,
    causationId: event.id,
    ...(tenant === undefined ? {} : { tenant }),
  }
}
