/**
 * The largest encoded event (data, metadata and tags together), in UTF-8 bytes.
 *
 * @example
 * ```ts
 * import { eventBytesMax } from 'eventuali'
 *
 * console.log(eventBytesMax >= 16 * 1024 * 1024) // true
 * ```
 */
export const eventBytesMax: number = 16 * 1024 * 1024 + 64 * 1024
/**
 * Levels of nesting; far below where `JSON.parse` or a database would give up.
 *
 * @example
 * ```ts
 * import { nestingDepthMax } from 'eventuali'
 *
 * console.log(nestingDepthMax) // 200
 * ```
 */
export const nestingDepthMax = 200

/**
 * The largest content of a compressed body: what an event may have, as MessagePack, of which a
 * number may take nine bytes where its JSON takes four with the comma.
 */
export const expandedBytesMax: number = 3 * eventBytesMax
