import {
  type EventDefinition,
  type EventRegistry,
  isSystemType,
  type RecordedEvent,
  UpcastError,
  UpcasterMissingError,
  ValidationError,
  validateData,
} from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { readerOf, type SchemaProblem, type SchemaProblemKind } from './compatibility.ts'
import { type JsonSchema, storedSchema, takenSchema } from './json-schema.ts'
import { narrowings } from './narrowing.ts'
import { schemaOfData } from './schema-shape.ts'
import { upcasterStub } from './stub.ts'

/** Different problems that are told of one type and version; the rest are counted together. */
const REASON_COUNT_MAX = 20

interface Finding {
  readonly kind: SchemaProblemKind
  readonly reason: string
}

/** Which events of a log to read. */
export interface EventCheckOptions {
  /** The newest of each of these stored types; all events when left out. */
  readonly sample?: { readonly types: readonly string[]; readonly count: number } | undefined
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number | undefined
  readonly onProgress?: ((position: number, upTo: number) => void) | undefined
}

/** What reading the events has shown. */
export interface EventCheckResult {
  readonly events: number
  /** Events whose data was not checked: no validator, or one that transforms. */
  readonly unchecked: number
  /** Whether every event of a stored type and version was read and its data checked. */
  readonly isProven: (type: string, version: number) => boolean
  readonly problems: readonly SchemaProblem[]
}

/**
 * Whether the validator can be asked about data that it has given itself: what it gives has to be
 * something that it takes. Where its library cannot say, it is asked.
 */
function canAsk(definition: EventDefinition): boolean {
  if (definition.schema === undefined) return false
  const [taken, given] = [takenSchema(definition), storedSchema(definition)]
  if (taken === undefined) return true
  if (given === undefined) return definition.codec !== undefined
  return narrowings(given, taken).length === 0
}

/** Reads stored events with definitions, as every reader does, and collects where that fails. */
export class EventCheck {
  readonly #registry: EventRegistry
  readonly #askable = new Map<EventDefinition, boolean>()
  readonly #found = new Map<string, SchemaProblem & { events: { count: number } }>()
  #events = 0
  #unchecked = 0
  /** Types and versions with an event whose data was not checked. */
  readonly #open = new Set<string>()

  constructor(registry: EventRegistry) {
    this.#registry = registry
  }

  /** Reads the log (or a sample of it) up to its safe position. */
  async run(port: EventStore, options: EventCheckOptions): Promise<EventCheckResult> {
    const { sample, signal, onProgress } = options
    const { safe } = await port.positions(options)
    const query = { upTo: safe, includeArchived: true }
    if (sample === undefined) {
      for await (const page of port.readLog({ ...query, direction: 'forward' }, { signal })) {
        for (const event of page) await this.#look(event)
        onProgress?.((page.at(-1) as RecordedEvent).position, safe)
      }
    } else {
      const { types, count: limit } = sample
      for (const [at, type] of types.entries()) {
        const newest = { ...query, types: [type], limit, direction: 'backward' } as const
        for await (const page of port.readLog(newest, { signal })) {
          for (const event of page) await this.#look(event)
        }
        onProgress?.(at + 1, types.length)
      }
    }
    const problems = [...this.#found.values()]
    const isProven = (type: string, version: number) =>
      sample === undefined && !this.#open.has(placeKey(type, version))
    return { events: this.#events, unchecked: this.#unchecked, isProven, problems }
  }

  async #look(event: RecordedEvent): Promise<void> {
    if (isSystemType(event.type)) return
    this.#events++
    const finding = await this.#findingOf(event)
    if (finding !== undefined) this.#note(event, finding)
  }

  async #findingOf(event: RecordedEvent): Promise<Finding | undefined> {
    let parts: readonly RecordedEvent[]
    try {
      parts = this.#registry.upcast([event])
    } catch (error) {
      if (error instanceof UpcasterMissingError) {
        const { type, schemaVersion: version } = error
        const reason = `nothing reads ${JSON.stringify(type)} of version ${version} as the next one`
        return { kind: 'upcaster-missing', reason }
      }
      const reason = error instanceof UpcastError ? causeOf(error) : messageOf(error)
      return { kind: 'upcast-failed', reason }
    }
    for (const part of parts) {
      const definition = this.#registry.get(part.type)
      if (definition === undefined) {
        return { kind: 'unknown-type', reason: `no definition reads ${JSON.stringify(part.type)}` }
      }
      const finding = await this.#checkData(definition, part)
      if (finding === 'unchecked') {
        this.#unchecked++
        this.#open.add(placeKey(event.type, event.schemaVersion))
      } else if (finding !== undefined) return finding
    }
    return undefined
  }

  async #checkData(
    definition: EventDefinition,
    part: RecordedEvent,
  ): Promise<Finding | 'unchecked' | undefined> {
    let data: unknown
    try {
      ;({ data } = this.#registry.decode(part))
    } catch (error) {
      return { kind: 'decode-failed', reason: `its codec failed: ${messageOf(error)}` }
    }
    let askable = this.#askable.get(definition)
    if (askable === undefined) {
      askable = canAsk(definition)
      this.#askable.set(definition, askable)
    }
    if (!askable) return 'unchecked'
    try {
      const given = await validateData(definition, data)
      const lack = lackOf(data, given, 'data')
      if (lack === undefined) return undefined
      const reason = `${lack} is not stored and only the validator's default would fill it in, which reads do not run; give it in "defaults"`
      return { kind: 'lacks', reason }
    } catch (error) {
      return { kind: 'refused', reason: refusalOf(error) }
    }
  }

  #note(event: RecordedEvent, { kind, reason }: Finding): void {
    const { type, schemaVersion: version, stream, position } = event
    const key = JSON.stringify([type, version, kind, reason])
    const known = this.#found.get(key)
    if (known !== undefined) {
      known.events.count++
      return
    }
    const others = [...this.#found.values()].filter(
      (one) => one.type === type && one.version === version,
    )
    if (others.length >= REASON_COUNT_MAX) {
      ;(others.at(-1) as (typeof others)[number]).events.count++
      return
    }
    const first = { stream, version: event.version, position }
    this.#found.set(key, {
      ...{ kind, severity: kind === 'unknown-type' ? 'warning' : 'error', type, version, reason },
      ...(kind === 'upcaster-missing' ? { stub: this.#stub(event) } : {}),
      events: { count: 1, first },
    })
  }

  /** Nobody may have registered what the data looks like: the event at hand shows it. */
  #stub({ type: stored, schemaVersion, data }: RecordedEvent): string {
    const definition = readerOf(this.#registry, stored)
    const isLast = definition?.schemaVersion === schemaVersion + 1
    const after = definition !== undefined && isLast ? storedSchema(definition) : undefined
    const before: JsonSchema = schemaOfData(data)
    return upcasterStub({ type: definition?.type ?? stored, from: schemaVersion, before, after })
  }
}

function placeKey(type: string, version: number): string {
  return `${version}/${type}`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What the upcaster threw; the error's own words name one event, and there may be thousands. */
function causeOf(error: UpcastError): string {
  if (error.cause === undefined) return messageOf(error)
  return `its upcaster failed: ${messageOf(error.cause)}`
}

function refusalOf(error: unknown): string {
  if (!(error instanceof ValidationError)) return `its validator failed: ${messageOf(error)}`
  const [issue] = error.issues
  return `the validator refuses it: ${issue?.path || 'data'}: ${issue?.message ?? ''}`
}

/** The path of something that is in the given data and not in the stored. */
function lackOf(stored: unknown, given: unknown, path: string): string | undefined {
  if (typeof given !== 'object' || given === null) return undefined
  if (typeof stored !== 'object' || stored === null) return undefined
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) continue
    const at = Array.isArray(given) ? `${path}[]` : `${path}.${key}`
    if (!Object.hasOwn(stored, key)) return at
    const found = lackOf((stored as Record<string, unknown>)[key], value, at)
    if (found !== undefined) return found
  }
  return undefined
}
