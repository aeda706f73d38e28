export { builtinModule, importModule, nodeMajor, processPlace } from './builtins.ts'
export { type Clock, sleep, systemClock } from './clock.ts'
export { type Deadline, deadlineIn, SharedTimer } from './deadline.ts'
export {
  type ErrorOptionsWithCause,
  EventualiError,
  isEventualiError,
  isRetryable,
  markAsError,
} from './errors.ts'
export { type IdSource, uuidV5, uuidV7Source } from './ids.ts'
export { LruMap } from './lru.ts'
export { loadPeer } from './peers.ts'
export { publishFile } from './publish-file.ts'
export { type Random, seededRandom, systemRandom } from './random.ts'
export { backoffMs, type RetryPolicy, retry } from './retry.ts'
export { compareText, maskedText, shownText } from './text.ts'
