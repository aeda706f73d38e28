import { isEventualiError, LogChangedError, type RecordedEvent } from 'eventuali'
import { cloudFromEvent } from './cloud-events.ts'
import { Failure } from './failure.ts'
import type { RequestContext } from './parts.ts'
import { feedId } from './positions.ts'
import { problemOf } from './problem.ts'

/** What a feed reads: a place, and what comes after it. */
export interface FeedSource {
  /** The next events, not without a bound; none when there are none now. */
  next(): Promise<readonly { readonly event: RecordedEvent; readonly text?: string }[]>
  /** The number behind the log's name in an event's id. */
  idOf(event: RecordedEvent): number
  /** Where it stands, beyond what it has passed over. */
  readonly place: number
  /** Resolves when there may be more, or after a while. */
  wait(ms: number, signal: AbortSignal): Promise<void>
}

/** How a feed is sent. */
export interface FeedOptions {
  readonly isCloud: boolean
}

/** The error for a place beyond the end of the log: it was of another one. */
export function beyond(incarnation: string, highest: number, newest: number): LogChangedError {
  return new LogChangedError(incarnation, incarnation, { name: 'the feed', highest, newest })
}

/**
 * A live feed as Server-Sent Events. It is read only as fast as it is taken: at most one piece
 * waits to be sent, and whoever takes none for too long is cut off, and may come back with its
 * `Last-Event-ID`.
 */
export class Feed {
  readonly #source: FeedSource
  readonly #context: RequestContext
  readonly #isCloud: boolean
  readonly #abort = new AbortController()
  readonly #encoder = new TextEncoder()
  readonly #signal: AbortSignal
  readonly #release: () => void
  #isFirst = true
  #stopStall: (() => void) | undefined

  constructor(
    source: FeedSource,
    context: RequestContext,
    { isCloud }: FeedOptions,
    release: () => void,
  ) {
    this.#source = source
    this.#context = context
    this.#isCloud = isCloud
    this.#release = release
    this.#signal = AbortSignal.any([this.#abort.signal, context.parts.closing])
  }

  response(): Response {
    const body = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => this.#pull(controller),
        cancel: () => this.#end(),
      },
      { highWaterMark: 0 },
    )
    return new Response(body, {
      headers: {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        // Some proxies collect an answer before they pass it on.
        'x-accel-buffering': 'no',
      },
    })
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#stopStall?.()
    try {
      const piece = await this.#piece()
      if (this.#abort.signal.aborted) return
      controller.enqueue(this.#encoder.encode(piece))
      if (this.#context.parts.closing.aborted) {
        this.#end()
        controller.close()
        return
      }
      this.#watchStall(controller)
    } catch (error) {
      if (this.#abort.signal.aborted) return
      const { parts, id } = this.#context
      if (!isEventualiError(error)) parts.options.onError?.(error, id)
      const problem = problemOf(error, id)
      controller.enqueue(
        this.#encoder.encode(`event: problem\ndata: ${JSON.stringify(problem)}\n\n`),
      )
      this.#end()
      controller.close()
    }
  }

  /** The next words to send: events, a sign of life, or the farewell. */
  async #piece(): Promise<string> {
    const { closing, limits, random } = this.#context.parts
    if (this.#isFirst) {
      this.#isFirst = false
      return `retry: 2000\n${this.#alive()}`
    }
    for (;;) {
      if (closing.aborted) {
        // Not all at once: the others come back at the same time.
        const retryMs = 1000 + Math.floor(random.next() * 4000)
        return `retry: ${retryMs}\nevent: closing\ndata: {}\n\n`
      }
      const found = await this.#source.next()
      if (found.length > 0) return this.#framesOf(found)
      const before = this.#source.place
      await this.#source.wait(limits.heartbeatMs, this.#signal)
      if (this.#abort.signal.aborted) return ''
      if (closing.aborted) continue
      const more = await this.#source.next()
      if (more.length > 0) return this.#framesOf(more)
      // Others' events have come by: no sign of life is due for that, but once in a while.
      if (this.#source.place === before || this.#isSilent()) return this.#alive()
    }
  }

  #silentSinceMs = 0

  #isSilent(): boolean {
    const { clock, limits } = this.#context.parts
    return clock.monotonic() - this.#silentSinceMs >= limits.heartbeatMs
  }

  /** A comment keeps proxies from ending it; the id lets a filtered feed resume near its end. */
  #alive(): string {
    const { store, clock } = this.#context.parts
    this.#silentSinceMs = clock.monotonic()
    return `: alive\nid: ${feedId(store.incarnation, this.#source.place)}\n\n`
  }

  #framesOf(found: readonly { readonly event: RecordedEvent; readonly text?: string }[]): string {
    const { store, options, clock } = this.#context.parts
    this.#silentSinceMs = clock.monotonic()
    const base = options.cloudEventSource ?? ''
    let frames = ''
    for (const [at, { event, text }] of found.entries()) {
      const data = this.#isCloud
        ? JSON.stringify(cloudFromEvent(event, base))
        : (text ?? JSON.stringify(event))
      // Of those in the place of one stored event only the last one may be resumed behind.
      const isPart = found[at + 1]?.event.position === event.position
      const id = feedId(store.incarnation, this.#source.idOf(event))
      frames += isPart ? `data: ${data}\n\n` : `id: ${id}\ndata: ${data}\n\n`
    }
    return frames
  }

  #watchStall(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const { clock, limits, metrics } = this.#context.parts
    const cut = () => {
      metrics.add('eventuali_feeds_cut_total', 'Feeds that took nothing for too long.')
      this.#end()
      // What waits in the socket is only given up with it, and the body then as well.
      const outgoing = this.#context.node?.outgoing
      if (outgoing !== undefined) outgoing.destroy()
      else controller.error(new Failure('CONNECTIONS_FULL', 'the feed was not read for too long'))
    }
    this.#stopStall = clock.timer(limits.stallMs, cut, { background: true })
  }

  #end(): void {
    this.#stopStall?.()
    this.#abort.abort()
    this.#release()
  }
}
