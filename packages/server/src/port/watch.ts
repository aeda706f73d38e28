import type { RequestContext } from '../parts.ts'

/** Hints that come close together are one. */
const COALESCE_MS = 5

/** A line for each time that the log may have grown; for the clients' own `watch`. */
export function watchResponse({ parts, signal }: RequestContext): Response {
  const { store, clock, closing, feeds, limits } = parts
  const leave = feeds.take()
  const encoder = new TextEncoder()
  const line = encoder.encode('\n')
  let stop = () => {}
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      let stopTimer: (() => void) | undefined
      let stopAlive = () => {}
      const send = () => {
        stopTimer = undefined
        // One that waits to be sent says all that there is to say.
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(line)
      }
      const unwatch = store.port.watch(() => {
        stopTimer ??= clock.timer(COALESCE_MS, send, { background: true })
      })
      const alive = () => {
        send()
        stopAlive = clock.timer(limits.heartbeatMs, alive, { background: true })
      }
      const end = () => {
        stop()
        try {
          controller.close()
        } catch {
          // It was cancelled, which closes it too.
        }
      }
      stop = () => {
        stop = () => {}
        unwatch()
        stopTimer?.()
        stopAlive()
        closing.removeEventListener('abort', end)
        signal.removeEventListener('abort', end)
        leave()
      }
      closing.addEventListener('abort', end, { once: true })
      signal.addEventListener('abort', end, { once: true })
      alive()
    },
    cancel: () => stop(),
  })
  return new Response(body, {
    headers: { 'content-type': 'text/plain', 'cache-control': 'no-store' },
  })
}
