import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP } from 'node:net'
import {
  type Clock,
  type DurableOptions,
  type DurableSubscription,
  type EventInput,
  InvalidArgumentError,
  type RecordedEvent,
  type Store,
  systemClock,
} from 'eventuali'
import { cloudFromEvent } from './cloud-events.ts'
import { isPrivate, PrivateAddressError, publicLookup } from './webhook-address.ts'
import { type Signer, signerOf } from './webhook-signature.ts'

/** Where events are sent to, and which. */
export interface Webhook {
  /** Its subscription is `webhook:NAME`: status, pause and dead letters are there. */
  readonly name: string
  /** A url of https; of http where `allowPrivate` is said. */
  readonly url: string
  /** `whsec_` and base64, as Standard Webhooks have it. Several while one replaces another. */
  readonly secrets: readonly string[]
  readonly types?: readonly string[] | undefined
  readonly categories?: readonly string[] | undefined
  readonly tags?: readonly string[] | undefined
  /** Where a new one begins: with what comes from now on when left out. */
  readonly after?: number | 'end' | undefined
  /** Lets it reach addresses of private networks and of this machine. */
  readonly allowPrivate?: boolean | undefined
  /** Milliseconds that one delivery may take; 10,000. */
  readonly timeoutMs?: number | undefined
  /** Tries of one delivery; 8 more, from 1 s to 5 min apart, when left out. */
  readonly retry?: DurableOptions['retry']
  /** What becomes of an event that is not taken in the end; `park-key`: a dead letter. */
  readonly onPoison?: DurableOptions['onPoison']
}

/** Options of `startWebhooks`. */
export interface WebhookOptions {
  /** See `ServerOptions`. */
  readonly cloudEventSource?: string | undefined
  readonly clock?: Clock | undefined
}

/** Webhooks that are being served. */
export interface RunningWebhooks {
  readonly subscriptions: readonly DurableSubscription<RecordedEvent>[]
  /** Ends them after the deliveries at hand; they go on from there when started again. */
  stop(): Promise<void>
}

const TIMEOUT_MS = 10_000
const TIMEOUT_MS_MAX = 60_000
const RETRY = { retryCountMax: 8, firstDelayMs: 1000, delayMaxMs: 300_000 }

/**
 * Sends events to other programs as signed CloudEvents, each at least once and in the order of its
 * stream, from durable subscriptions: tried again with back-off, then parked as dead letters.
 * Receivers check the signature by Standard Webhooks (`webhook-id`, `webhook-timestamp`,
 * `webhook-signature`), and know a repeated delivery by its `webhook-id`.
 *
 * Throws InvalidArgumentError.
 *
 * @example
 * ```ts
 * import { startWebhooks } from '@eventuali/server'
 * import { openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * const webhooks = startWebhooks(store, [
 *   {
 *     name: 'shop',
 *     url: 'https://shop.example.com/events',
 *     secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
 *     types: ['OrderPlaced'],
 *   },
 * ])
 * await webhooks.stop()
 * ```
 */
export function startWebhooks<E extends EventInput>(
  store: Store<E>,
  hooks: readonly Webhook[],
  options: WebhookOptions = {},
): RunningWebhooks {
  const names = new Set<string>()
  const targets = hooks.map((hook) => {
    if (names.has(hook.name)) throw new InvalidArgumentError('name', `${hook.name} is given twice`)
    names.add(hook.name)
    return { hook, url: checkedUrl(hook), signer: signerOf(hook.secrets) }
  })
  const erased = store as unknown as Store
  const subscriptions = targets.map(({ hook, url, signer }) => {
    const { types, categories, tags, after = 'end', retry, onPoison } = hook
    return erased.subscribe(
      {
        ...{ name: `webhook:${hook.name}`, after, types, categories, tags, onPoison },
        group: true,
        retry: { ...RETRY, ...retry },
      },
      (event, { signal }) => deliver(event, { hook, url, signer, signal }, store, options),
    )
  })
  return {
    subscriptions,
    stop: async () => {
      await Promise.all(subscriptions.map((subscription) => subscription.stop()))
    },
  }
}

function checkedUrl({ name, url: text, allowPrivate, timeoutMs = TIMEOUT_MS }: Webhook): URL {
  if (typeof name !== 'string' || !/^[\w.-]{1,100}$/.test(name)) {
    throw new InvalidArgumentError('name', 'must be letters, digits, . - and _, at most 100')
  }
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > TIMEOUT_MS_MAX) {
    throw new InvalidArgumentError('timeoutMs', `must be from 1 to ${TIMEOUT_MS_MAX}`)
  }
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isFit = url?.protocol === 'https:' || (url?.protocol === 'http:' && allowPrivate === true)
  if (url === undefined || !isFit || url.username !== '' || url.password !== '') {
    throw new InvalidArgumentError('url', `of webhook ${name} must be one of https`)
  }
  const host = url.hostname.replace(/^\[|\]$/g, '')
  // Node looks no address up, so that the check at connecting would not see it.
  if (allowPrivate !== true && isIP(host) !== 0 && isPrivate(host)) {
    throw new InvalidArgumentError('url', new PrivateAddressError(host).message)
  }
  return url
}

interface Target {
  readonly hook: Webhook
  readonly url: URL
  readonly signer: Signer
  readonly signal: AbortSignal
}

async function deliver(
  event: RecordedEvent,
  target: Target,
  store: { readonly incarnation: string },
  { cloudEventSource = '', clock = systemClock }: WebhookOptions,
): Promise<void> {
  const body = JSON.stringify(cloudFromEvent(event, cloudEventSource))
  // The same for each try, and another one in another log.
  const id = `${store.incarnation}-${event.position}`
  const seconds = Math.floor(clock.now() / 1000)
  const status = await post(body, target, {
    'content-type': 'application/cloudevents+json',
    'content-length': String(Buffer.byteLength(body)),
    'user-agent': 'eventuali-webhooks/1',
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': target.signer(body, { id, seconds }),
  })
  if (status >= 200 && status < 300) return
  throw new Error(`webhook ${target.hook.name} was answered with status ${status}`)
}

/** Sends one request and gives the status of its answer; a redirect is an answer as well. */
function post(
  body: string,
  { hook, url, signal }: Target,
  headers: Record<string, string>,
): Promise<number> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp
  const timeoutMs = hook.timeoutMs ?? TIMEOUT_MS
  const late = AbortSignal.timeout(timeoutMs)
  const guard = hook.allowPrivate === true ? {} : { lookup: publicLookup }
  return new Promise((resolve, reject) => {
    const ended = AbortSignal.any([signal, late])
    const sent = request(url, { method: 'POST', headers, signal: ended, ...guard }, (answer) => {
      const { statusCode = 0 } = answer
      // What it says is of no interest, and may have no end.
      answer.destroy()
      resolve(statusCode)
    })
    sent.on('error', (error) => {
      const isLate = late.aborted && !signal.aborted
      reject(isLate ? new Error(`webhook ${hook.name} took over ${timeoutMs} ms`) : error)
    })
    sent.end(body)
  })
}
