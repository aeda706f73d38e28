import { type Clock, InvalidArgumentError } from 'eventuali'
import { Failure } from './failure.ts'
import type { Limits, ServerOptions } from './options.ts'

const loopback: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Whether a name can only mean this machine. */
export function isLoopback(host: string): boolean {
  return loopback.has(host) || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

/** The name in a Host header, without the port of any scheme: `localhost:80` is `localhost`. */
function nameOf(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '')
}

/** Throws Failure HOST_REFUSED for names that are not served: a page may have been rebound. */
export type HostCheck = (host: string | null) => void

/** The check of Host headers for these options. */
export function hostCheck(hosts: ServerOptions['hosts']): HostCheck {
  if (hosts === 'any') return () => {}
  if (hosts !== undefined && !Array.isArray(hosts)) {
    throw new InvalidArgumentError('hosts', "must be a list of names, or 'any'")
  }
  const known = new Set((hosts ?? []).map((host: string) => host.toLowerCase()))
  return (host) => {
    const shown = (host ?? '').toLowerCase()
    if (known.has(shown) || known.has(nameOf(shown))) return
    if (isLoopback(nameOf(shown))) return
    throw new Failure('HOST_REFUSED', `this server does not answer to ${JSON.stringify(shown)}`)
  }
}

/** Whether a web page of this origin may ask: one of the server's own, or one that was named. */
export function originAllowed(
  origin: string,
  host: string | null,
  origins: readonly string[],
): boolean {
  if (origins.includes(origin)) return true
  if (!URL.canParse(origin)) return false
  return new URL(origin).host === (host ?? '').toLowerCase()
}

/** Tokens that fill up with time: one for each caller, and not of more callers than fit. */
export class RateLimit {
  readonly #clock: Clock
  readonly #perSecond: number
  readonly #burst: number
  readonly #callersMax: number
  readonly #callers = new Map<string, { tokens: number; atMs: number }>()

  constructor(clock: Clock, rate: { perSecond: number; burst: number }, callersMax = 10_000) {
    this.#clock = clock
    this.#perSecond = rate.perSecond
    this.#burst = rate.burst
    this.#callersMax = callersMax
  }

  /** Throws Failure RATE_LIMITED once the caller has asked too often. */
  take(caller: string): void {
    const now = this.#clock.monotonic()
    const held = this.#callers.get(caller) ?? { tokens: this.#burst, atMs: now }
    this.#callers.delete(caller)
    const filled = held.tokens + ((now - held.atMs) / 1000) * this.#perSecond
    const tokens = Math.min(this.#burst, filled)
    // At the end of the map: whoever has not asked for longest goes first.
    this.#callers.set(caller, { tokens: Math.max(0, tokens - 1), atMs: now })
    if (this.#callers.size > this.#callersMax) {
      for (const oldest of this.#callers.keys()) {
        this.#callers.delete(oldest)
        break
      }
    }
    if (tokens >= 1) return
    throw new Failure(
      'RATE_LIMITED',
      `more than ${this.#perSecond} requests in a second; slow down`,
    )
  }
}

/** What is open at the same time, up to a number. */
export class Places {
  readonly #countMax: number
  readonly #what: string
  taken = 0

  constructor(what: string, countMax: number) {
    this.#what = what
    this.#countMax = countMax
  }

  /** Takes a place and gives the way to leave it, once. Throws Failure CONNECTIONS_FULL. */
  take(): () => void {
    if (this.taken >= this.#countMax) {
      throw new Failure('CONNECTIONS_FULL', `${this.#countMax} ${this.#what} are open already`)
    }
    this.taken++
    let isLeft = false
    return () => {
      if (isLeft) return
      isLeft = true
      this.taken--
    }
  }
}

/** Failed attempts to be let in, of one address: a second each, after the first twenty. */
export function attemptsLimit(clock: Clock): RateLimit {
  return new RateLimit(clock, { perSecond: 1, burst: 20 })
}

/** The rate of each caller, or none. */
export function rateOf(clock: Clock, { rate }: Limits): RateLimit | undefined {
  return rate === false ? undefined : new RateLimit(clock, rate)
}
