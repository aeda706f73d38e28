import { assertTag, type Json } from '../model/index.ts'

/** An event of a log that cannot be stored, and why. */
export class Unfit extends Error {}

/** A field of an event, or nothing where there is no value. */
export function optional<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>)
}

/** What an export has added as JSON, under its key. Throws Unfit. */
export function parsed(text: string | undefined, key: string): Json | undefined {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as Json
  } catch {
    throw new Unfit(`${key} is not JSON`)
  }
}

/** The schema version that an export has added. Throws Unfit. */
export function schemaVersionIn(value: string | number): number {
  const version = Number(value)
  if (Number.isSafeInteger(version) && version >= 1) return version
  throw new Unfit('eventuali:schemaVersion is not an integer of 1 or more')
}

/** The tags that an export has added. Throws Unfit, InvalidNameError. */
export function tagsIn(text: string | undefined): readonly string[] {
  const tags = parsed(text, 'eventuali:tags') ?? []
  if (!Array.isArray(tags)) throw new Unfit('eventuali:tags is no array of texts')
  for (const tag of tags) assertTag(tag)
  return tags as string[]
}
