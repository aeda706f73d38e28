import type { RecordedEvent } from '../../src/index.ts'
import type { EventStore } from '../../src/ports/index.ts'
import type { Simulation } from '../../src/testing/index.ts'

/** Events of these streams may be removed: no promise is made that a subscriber sees them. */
export const isTemporary = ({ stream }: Pick<RecordedEvent, 'stream'>): boolean =>
  stream.startsWith('temp-')

/** What one subscriber has seen of the events that are for it. */
export class Follower {
  readonly #name: string
  readonly #world: Simulation
  readonly #log: TrueLog
  readonly #isFor: (event: RecordedEvent) => boolean
  readonly #keyOf: (event: RecordedEvent) => string
  readonly #lists = new Map<string, { readonly events: RecordedEvent[]; next: number }>()
  handled = 0

  constructor(
    name: string,
    world: Simulation,
    log: TrueLog,
    isFor: (event: RecordedEvent) => boolean,
    keyOf: (event: RecordedEvent) => string = () => '',
  ) {
    this.#name = name
    this.#world = world
    this.#log = log
    this.#isFor = isFor
    this.#keyOf = keyOf
    log.followers.push(this)
  }

  arrived(event: RecordedEvent): void {
    if (!this.#isFor(event)) return
    const key = this.#keyOf(event)
    const list = this.#lists.get(key)
    if (list === undefined) this.#lists.set(key, { events: [event], next: 0 })
    else list.events.push(event)
  }

  /** Each event of a key comes after all before it have come at least once. */
  async saw(event: RecordedEvent): Promise<void> {
    await this.#log.refresh()
    this.handled += 1
    const list = this.#lists.get(this.#keyOf(event))
    const { position, stream, version } = event
    const what = `${this.#name} saw position ${position} (${stream} ${version})`
    this.#world.check(this.#isFor(event), `${what}, which is not for it`)
    // Removed before the log was read, while it was on its way here.
    if (list === undefined && isTemporary(event)) return
    if (list === undefined) return this.#world.check(false, `${what}, which the log never had`)
    for (; list.next < list.events.length; list.next++) {
      const next = list.events[list.next] as RecordedEvent
      if (next.position > position) return
      if (next.position === position || isTemporary(next)) continue
      this.#world.check(false, `${what} before ${next.position} (${next.stream} ${next.version})`)
    }
  }

  /** Events that have not come yet. */
  missing(): readonly RecordedEvent[] {
    return [...this.#lists.values()].flatMap(({ events, next }) =>
      events.slice(next).filter((event) => !isTemporary(event)),
    )
  }
}

/** The log as it really is, read from the store beneath all faults and bugs, with its laws. */
export class TrueLog {
  readonly events: RecordedEvent[] = []
  readonly followers: Follower[] = []
  readonly #raw: EventStore
  readonly #world: Simulation
  readonly #streams = new Map<string, RecordedEvent[]>()
  readonly #byId = new Map<string, RecordedEvent>()
  readonly #effects = new Map<string, number>()
  readonly #seats = new Map<string, number>()
  #reading: Promise<void> = Promise.resolve()
  #position = 0

  constructor(raw: EventStore, world: Simulation) {
    this.#raw = raw
    this.#world = world
  }

  /** Reads what is new. */
  refresh(): Promise<void> {
    this.#reading = this.#reading.then(async () => {
      const { newest } = await this.#raw.positions()
      if (newest === this.#position) return
      const query = { after: this.#position, upTo: newest, direction: 'forward' } as const
      for await (const page of this.#raw.readLog({ ...query, includeArchived: true })) {
        for (const event of page) this.#arrived(event)
      }
      this.#position = newest
    })
    return this.#reading
  }

  find(stream: string, id: string): RecordedEvent | undefined {
    return this.#byId.get(`${stream} ${id}`)
  }

  version(stream: string): number {
    return this.stream(stream).at(-1)?.version ?? 0
  }

  /** All events of a stream, removed ones too. */
  stream(name: string): readonly RecordedEvent[] {
    return this.#streams.get(name) ?? []
  }

  /** How often a cause had an effect: `Charged 7`. */
  effects(effect: string): number {
    return this.#effects.get(effect) ?? 0
  }

  #arrived(event: RecordedEvent): void {
    const { check } = this.#world
    const { position, stream, version, id } = event
    const last = this.events.at(-1)?.position ?? 0
    check(position > last, `position ${position} follows ${last}`)
    const before = this.version(stream)
    const isDense = version === before + 1 || (isTemporary(event) && version > before)
    check(isDense, `version ${version} of ${stream} follows ${before}`)
    const key = `${stream} ${id}`
    check(!this.#byId.has(key), `event ${id} is in ${stream} twice`)
    const list = this.#streams.get(stream)
    if (list === undefined) this.#streams.set(stream, [event])
    else list.push(event)
    this.#byId.set(key, event)
    this.events.push(event)
    this.#once(event)
    for (const follower of this.followers) follower.arrived(event)
  }

  /** What may be there once only. */
  #once({ type, data }: RecordedEvent): void {
    const { check } = this.#world
    const { order, of, show, seat, n } = data as Record<string, string | number>
    const cause = type === 'Added' ? n : (order ?? of)
    if (cause !== undefined) {
      const effect = `${type} ${cause}`
      const count = this.effects(effect) + 1
      check(count === 1, `${effect} is there ${count} times`)
      this.#effects.set(effect, count)
    }
    if (type === 'Seated') {
      const taken = (this.#seats.get(String(show)) ?? 0) + 1
      check(taken === seat, `seat ${seat} of show ${show} is the ${taken}. to be taken`)
      this.#seats.set(String(show), taken)
    }
  }
}
