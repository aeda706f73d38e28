import type { Json } from '../../model/index.ts'
import { Unfit } from '../exported-fields.ts'
import type { SkippedLine } from '../import-lines.ts'
import type { SourceLine } from '../lines.ts'

/** An attribute; those of objects have a time. */
export interface OcelAttribute {
  readonly name: string
  readonly value: Json
  readonly time?: string
}

interface OcelRelationship {
  readonly objectId: string
  readonly qualifier?: string
}

/** An event of a log, as far as it is what it should be. */
export interface OcelEvent {
  readonly id: string
  readonly type?: unknown
  readonly time?: unknown
  readonly attributes?: readonly OcelAttribute[]
  readonly relationships?: readonly OcelRelationship[]
}

/** An object of a log. */
export interface OcelObject {
  readonly id: string
  readonly type: string
  readonly attributes?: readonly OcelAttribute[]
  readonly relationships?: readonly OcelRelationship[]
}

/** A type of events. */
export interface OcelType {
  readonly name: string
  readonly attributes?: readonly { readonly name: string; readonly type: string }[]
}

/** Where an event belongs. */
export interface OcelPlace {
  readonly stream: string
  readonly id: string
  readonly tags: readonly string[]
  /** What the log says of the relation to a tag's object, where it says anything. */
  readonly qualifiers: Readonly<Record<string, string>> | undefined
  /** What the log says of the stream's object. */
  readonly object: Json | undefined
  /** Whether `exportOcel` has written it. */
  readonly isExport: boolean
}

/** The JSON object of an element, or why there is none. */
export function ocelElement({
  line,
  text,
  problem,
}: SourceLine): SkippedLine | { readonly line: number; readonly value: Record<string, unknown> } {
  if (problem !== undefined) return { line, reason: problem }
  try {
    return { line, value: JSON.parse(text) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { line, reason: `is not JSON (${message.slice(0, 200)})` }
  }
}

/** `order-1@3/id`: the stream, the version in it, and the event's id. */
const EXPORTED_ID = /^(.+)@\d+\/(.+)$/s

/** What is known of a log's types and objects. */
export class OcelNames {
  readonly #categories: readonly string[]
  readonly #objectTypes = new Map<string, string>()
  readonly #objects = new Map<string, Json>()
  readonly #attributeTypes = new Map<string, ReadonlyMap<string, string>>()

  constructor(categories: readonly string[]) {
    this.#categories = categories
  }

  /** Throws Unfit for what is no object. */
  object({ id, type, attributes = [], relationships = [] }: OcelObject): void {
    if (typeof id !== 'string' || typeof type !== 'string') {
      throw new Unfit('an object must have an id and a type')
    }
    this.#objectTypes.set(id, type)
    if (!this.#categories.includes(type)) return
    if (attributes.length === 0 && relationships.length === 0) return
    const known = {
      ...(attributes.length > 0 && { attributes }),
      ...(relationships.length > 0 && { relationships }),
    }
    this.#objects.set(id, known as unknown as Json)
  }

  /** Throws Unfit for what is no type of events. */
  eventType({ name, attributes = [] }: OcelType): void {
    if (!Array.isArray(attributes)) throw new Unfit('attributes is no list')
    this.#attributeTypes.set(name, new Map(attributes.map((one) => [one.name, one.type])))
  }

  /** The attributes of an event, numbers and truths as such where the log has them as texts. */
  attributesOf({ type, attributes = [] }: OcelEvent): Map<string, Json> {
    if (!Array.isArray(attributes)) throw new Unfit('attributes is no list')
    const types = this.#attributeTypes.get(String(type))
    const found = new Map<string, Json>()
    for (const { name, value } of attributes as readonly OcelAttribute[]) {
      if (typeof name !== 'string') throw new Unfit('an attribute has no name')
      found.set(name, typed(value, types?.get(name)))
    }
    return found
  }

  /** The stream of an event, and its tags. Throws Unfit when it has none. */
  placeOf(event: OcelEvent, knowsAll: boolean): OcelPlace {
    const { id, relationships = [] } = event
    if (typeof id !== 'string') throw new Unfit('the event has no id')
    if (!Array.isArray(relationships)) throw new Unfit('relationships is no list')
    const related = relationships as readonly OcelRelationship[]
    const [, exported, ownId] = EXPORTED_ID.exec(id) ?? []
    if (this.#categories.length === 0 && exported === related[0]?.objectId && ownId !== undefined) {
      const tags = related.slice(1).map(({ objectId }) => objectId.slice(1))
      const stream = related[0]?.objectId ?? ''
      return { stream, id: ownId, tags, qualifiers: undefined, object: undefined, isExport: true }
    }
    return { id, ...this.#chosen(related, knowsAll), isExport: false }
  }

  #chosen(related: readonly OcelRelationship[], knowsAll: boolean) {
    const typed = related.map((one) => ({ ...one, type: this.#typeOf(one.objectId, knowsAll) }))
    const category = this.#categories.find((name) => typed.some(({ type }) => type === name))
    const own = typed.find(({ type }) => type === category)
    if (category === undefined || own === undefined) throw new Unfit(this.#whyNone(typed))
    const others = typed.filter(({ objectId }) => objectId !== own.objectId)
    const tagged = new Map(others.map((one) => [tagOf(one), one.qualifier ?? '']))
    const said = [...tagged].filter(([, qualifier]) => qualifier !== '')
    return {
      stream: streamOf(category, own.objectId),
      tags: [...tagged.keys()],
      qualifiers: said.length > 0 ? Object.fromEntries(said) : undefined,
      object: this.#objects.get(own.objectId),
    }
  }

  #typeOf(objectId: string, knowsAll: boolean): string {
    const type = this.#objectTypes.get(objectId)
    if (type !== undefined) return type
    const shown = JSON.stringify(objectId)
    throw new Unfit(
      knowsAll
        ? `it relates to the object ${shown}, which the log does not have`
        : `the object ${shown} does not stand before its events; give the file by its path`,
    )
  }

  #whyNone(typed: readonly { readonly type: string }[]): string {
    const types = [...new Set(typed.map(({ type }) => type))].join(', ') || 'nothing'
    return this.#categories.length === 0
      ? `an event relates to ${types}: say with categories which types of objects are streams`
      : `it relates to ${types}, and to no ${this.#categories.join(' or ')}`
  }
}

/** A category ends at the first `-`, so that a type must not have one. */
function streamOf(type: string, objectId: string): string {
  const category = type.replaceAll('-', '_')
  return objectId.startsWith(`${category}-`) ? objectId : `${category}-${objectId}`
}

function tagOf({ type, objectId }: { readonly type: string; readonly objectId: string }): string {
  // A tag's object of an export is named `#type:id` already.
  return objectId.startsWith(`#${type}:`) ? objectId.slice(1) : `${type}:${objectId}`
}

function typed(value: Json, type: string | undefined): Json {
  if (typeof value !== 'string') return value
  if (type === 'boolean') return value === 'true' ? true : value === 'false' ? false : value
  if (type !== 'integer' && type !== 'float') return value
  // Better the text than a number that is rounded or none.
  const number = Number(value)
  const isExact = type === 'float' ? Number.isFinite(number) : Number.isSafeInteger(number)
  return value.trim() !== '' && isExact ? number : value
}
