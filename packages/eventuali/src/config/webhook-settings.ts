import type { Shape, ShapesOf } from './shape.ts'

/** How often a delivery is tried again, and how far apart. */
export interface WebhookRetrySettings {
  readonly retryCountMax?: number | undefined
  readonly firstDelayMs?: number | undefined
  readonly delayMaxMs?: number | undefined
}

/** Where events are sent to, and which; its subscription is `webhook:NAME`. */
export interface WebhookSettings {
  /** A url of https; of http where `allowPrivate` is said. */
  readonly url: string
  /** Secrets by reference, `whsec_…` of Standard Webhooks; several while one replaces another. */
  readonly secrets: readonly string[]
  readonly types?: readonly string[] | undefined
  readonly categories?: readonly string[] | undefined
  readonly tags?: readonly string[] | undefined
  /** Where a new one begins: behind a position, or `end`, with what comes from now on. */
  readonly after?: number | 'end' | undefined
  /** Lets it reach addresses of private networks and of this machine. */
  readonly allowPrivate?: boolean | undefined
  /** Milliseconds that one delivery may take; 10,000. */
  readonly timeoutMs?: number | undefined
  readonly retry?: WebhookRetrySettings | undefined
  /** What becomes of an event that is not taken in the end; `park-key`: a dead letter. */
  readonly onPoison?: 'park-key' | 'park' | 'stop' | undefined
}

const text: Shape = { kind: 'text' }
const texts: Shape = { kind: 'list', of: text }

const retryShapes: ShapesOf<WebhookRetrySettings> = {
  retryCountMax: { kind: 'number', min: 0 },
  firstDelayMs: { kind: 'number', min: 1 },
  delayMaxMs: { kind: 'number', min: 1 },
}

const webhookShapes: ShapesOf<WebhookSettings> = {
  url: text,
  secrets: { kind: 'list', of: { kind: 'text', isSecret: true } },
  types: texts,
  categories: texts,
  tags: texts,
  after: {
    kind: 'either',
    of: [
      { kind: 'number', min: 0 },
      { kind: 'text', of: ['end'] },
    ],
  },
  allowPrivate: { kind: 'boolean' },
  timeoutMs: { kind: 'number', min: 1 },
  retry: { kind: 'group', keys: retryShapes },
  onPoison: { kind: 'text', of: ['park-key', 'park', 'stop'] },
}

/** Webhooks by their names. */
export const webhooksShape: Shape = {
  kind: 'named',
  of: { kind: 'group', keys: webhookShapes, needs: ['url', 'secrets'] },
}
