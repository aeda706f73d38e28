import type { Store } from 'eventuali'
import type { Session } from './session.ts'
import { harmless } from './text-width.ts'

/** By what events were chosen. */
export interface Choice {
  readonly stream?: string | undefined
  readonly category?: readonly string[] | undefined
  readonly type?: readonly string[] | undefined
  readonly tag?: readonly string[] | undefined
}

/**
 * Says on standard error why nothing was found: a name that is not in the store is more often
 * mistyped than meant. Archived streams are looked at too.
 */
export async function sayNothingFound(
  session: Session,
  store: Store,
  { stream, category = [], type = [], tag = [] }: Choice,
): Promise<void> {
  const { signal } = session
  const { newest } = await store.positions({ signal })
  if (newest === 0) return session.say('the log has no events yet')
  const isIn = async (query: Parameters<Store['readAll']>[0]): Promise<boolean> => {
    const options = { ...query, limit: 1, includeArchived: true, signal }
    return (await store.readAll(options).toArray()).length > 0
  }
  const unknown: string[] = []
  const known = stream === undefined ? undefined : await store.stream(stream, { signal })
  if (stream !== undefined && known === undefined) unknown.push(`no stream ${stream}`)
  if (known?.state === 'deleted') unknown.push(`nothing in the stream ${stream}, it was deleted`)
  for (const name of category) {
    const found = await store.streams({ category: name, limit: 1, signal }).toArray()
    if (found.length === 0) unknown.push(`no stream of the category ${name}`)
  }
  for (const name of type) {
    if (!(await isIn({ types: [name] }))) unknown.push(`no event of the type ${name}`)
  }
  for (const name of tag) {
    if (!(await isIn({ tags: [name] }))) unknown.push(`no event with the tag ${name}`)
  }
  const what = unknown.length === 0 ? 'no event that meets all of this' : unknown.join(', ')
  session.say(`there is ${harmless(what)}`)
}
