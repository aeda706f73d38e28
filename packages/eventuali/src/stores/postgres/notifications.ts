import type { Clock } from '../../kernel/index.ts'
import type { LogPositions } from '../../ports/index.ts'
import type { Connections } from './connections.ts'
import type { DriverClient } from './driver.ts'

/** Notifications of one process are at least this far apart. */
const NOTIFY_EVERY_MS = 20
const POLL_FAST_MS = 50
/** With LISTEN the poll is only for what it may have missed; without, it is the delivery. */
const POLL_LISTENING_MS = 500
const POLL_ALONE_MS = 150
const RECONNECT_MS = 1000
/** A closing store waits this long for its last hint to be sent. */
const LAST_HINT_MS = 2000

export interface NotificationsOptions {
  readonly connections: Connections
  readonly clock: Clock
  readonly channel: string
  readonly listenUrl: string | undefined
  readonly positions: () => Promise<LogPositions>
}

/**
 * A NOTIFY commits with a record of its own in the write-ahead log. It is a hint, so nothing waits
 * for that to be flushed: a flush for it would take turns with those of the appends.
 */
function notifyText(channel: string): string {
  return `SELECT pg_notify('${channel}', ''), set_config('synchronous_commit', 'off', true)`
}

/**
 * Tells listeners that the log may have grown. LISTEN and NOTIFY are hints on connections of
 * their own (a NOTIFY inside an append would make commits take turns); the poll is the guarantee.
 */
export class Notifications {
  readonly #options: NotificationsOptions
  readonly #listeners = new Set<() => void>()
  #closed = false
  /** No connection may be kept any more. */
  #ended = false
  #listener: DriverClient | undefined
  #notifier: DriverClient | undefined
  #connecting = false
  #dirty = false
  #notifying: Promise<void> | undefined
  #stopPoll: (() => void) | undefined
  #stopReconnect: (() => void) | undefined
  #pollMs = POLL_FAST_MS
  #last = ''

  constructor(options: NotificationsOptions) {
    this.#options = options
  }

  get listening(): boolean {
    return this.#listener !== undefined
  }

  watch(listener: () => void): () => void {
    // A fresh function each time, so that the same listener may watch twice.
    const own = (): void => listener()
    this.#listeners.add(own)
    if (this.#listeners.size === 1) this.#start()
    return () => {
      this.#listeners.delete(own)
      if (this.#listeners.size === 0) this.#stop()
    }
  }

  /** This process has committed something: its own listeners at once, others by NOTIFY. */
  stored(): void {
    if (this.#closed) return
    this.#tell()
    this.#dirty = true
    this.#notifying ??= this.#notify().finally(() => {
      this.#notifying = undefined
    })
  }

  /** Something may be committed soon by a transaction that others own: look often for a while. */
  expect(): void {
    this.#pollMs = POLL_FAST_MS
    if (this.#listeners.size > 0) this.#schedulePoll()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#listeners.clear()
    this.#stop()
    // The hint of the last commit: others would learn of it by their poll only.
    if (this.#notifying !== undefined) {
      await Promise.race([this.#notifying, this.#pause(LAST_HINT_MS)])
    }
    this.#ended = true
    await this.#dropNotifier()
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }

  async #notify(): Promise<void> {
    while (this.#dirty) {
      this.#dirty = false
      await this.#send()
      if (!this.#closed) await this.#pause(NOTIFY_EVERY_MS)
    }
  }

  async #dropNotifier(): Promise<void> {
    const notifier = this.#notifier
    this.#notifier = undefined
    if (notifier === undefined) return
    // On a network that is silent the goodbye is never answered.
    await Promise.race([notifier.end().catch(() => {}), this.#pause(LAST_HINT_MS)])
  }

  async #send(): Promise<void> {
    const { connections, listenUrl, channel, clock } = this.#options
    try {
      if (connections.ownsPool) {
        // NOTIFY, unlike LISTEN, works through a pooler too.
        this.#notifier ??= await this.#connect(connections.pooled ? undefined : listenUrl, () => {
          this.#notifier = undefined
        })
        await this.#notifier?.query(notifyText(channel))
        return
      }
      const end = clock.monotonic() + 5000
      const deadline = { leftMs: () => end - clock.monotonic(), signal: undefined }
      const text = notifyText(channel)
      await connections.read({ text, name: `notify_${channel}` }, [], deadline)
    } catch {
      // A hint that is lost costs others one poll interval.
      void this.#dropNotifier()
    }
  }

  async #connect(
    url: string | undefined,
    onLost: (client: DriverClient) => void,
  ): Promise<DriverClient | undefined> {
    const client = await this.#options.connections.dedicated(url)
    // Handed over, because it may be lost before the caller has it: a store may close meanwhile.
    client?.on('error', () => onLost(client))
    client?.on('end', () => onLost(client))
    if (!this.#ended) return client
    await client?.end().catch(() => {})
    return undefined
  }

  #start(): void {
    void this.#listen()
    this.#pollMs = POLL_FAST_MS
    this.#schedulePoll()
  }

  #stop(): void {
    this.#stopPoll?.()
    this.#stopPoll = undefined
    this.#stopReconnect?.()
    this.#stopReconnect = undefined
    const listener = this.#listener
    this.#listener = undefined
    void listener?.end().catch(() => {})
  }

  async #listen(): Promise<void> {
    const { connections, listenUrl, channel } = this.#options
    if (this.#connecting || this.#listener !== undefined) return
    if (connections.pooled && listenUrl === undefined) return
    this.#connecting = true
    try {
      const client = await this.#connect(listenUrl, (lost) => {
        if (this.#listener !== lost) return
        this.#listener = undefined
        this.#retryListen()
      })
      if (client === undefined) return
      client.on('notification', () => {
        this.#pollMs = POLL_FAST_MS
        this.#tell()
      })
      await client.query(`LISTEN ${channel}`)
      if (this.#closed || this.#listeners.size === 0) await client.end().catch(() => {})
      else this.#listener = client
      // What was notified before LISTEN took hold.
      this.#tell()
    } catch {
      this.#retryListen()
    } finally {
      this.#connecting = false
    }
  }

  #retryListen(): void {
    if (this.#closed || this.#listeners.size === 0) return
    this.#stopReconnect?.()
    const again = (): void => void this.#listen()
    this.#stopReconnect = this.#options.clock.timer(RECONNECT_MS, again, { background: true })
  }

  #schedulePoll(): void {
    this.#stopPoll?.()
    const poll = (): void => void this.#poll()
    this.#stopPoll = this.#options.clock.timer(this.#pollMs, poll, { background: true })
  }

  async #poll(): Promise<void> {
    const most = this.listening ? POLL_LISTENING_MS : POLL_ALONE_MS
    try {
      const { safe, newest } = await this.#options.positions()
      const now = `${safe} ${newest}`
      const gap = safe < newest
      this.#pollMs = gap || now !== this.#last ? POLL_FAST_MS : Math.min(most, this.#pollMs * 1.5)
      if (now !== this.#last) this.#tell()
      this.#last = now
    } catch {
      this.#pollMs = most
    }
    if (!this.#closed && this.#listeners.size > 0) this.#schedulePoll()
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.clock.timer(ms, resolve, { background: true })
    })
  }
}
