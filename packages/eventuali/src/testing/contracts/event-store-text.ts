import assert from 'node:assert/strict'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import { fresh, makeEvent } from './steps.ts'

/** Kinds of text in which one system or another has been wrong. */
const kinds: readonly (readonly [what: string, text: string])[] = [
  ['letters composed and decomposed', 'e\u0301\u00e9 A\u030a\u212b\u00c5'],
  ['letters whose case is special', 'ß ẞ ı İ ς σ ﬁ ŉ'],
  ['joined emoji', '👩\u200d👩\u200d👧 🏳\ufe0f\u200d🌈 👍🏽'],
  ['text from right to left', 'עברית العربية \u202eabc\u202c \u2066x\u2069'],
  ['characters beyond the first plane', '\u{10000} \u{1f680} \u{20000} \u{10ffff}'],
  ['characters for private use', '\ue000 \uf8ff \u{f0000} \u{10fffd}'],
  ['what is no character', '\ufdd0 \ufffe \uffff \u{1fffe} \u{10ffff}'],
  ['marks of byte order and replacement', '\ufeffx \ufffd x\ufeff'],
  ['spaces of all widths', '\u00a0 \u2003 \u200b \u3000 \u2028 \u2029'],
  ['controls of the second set', '\u0080 \u0085 \u009f'],
  ['what patterns are made of', '%_*?[]^$.|\\'],
  ['quotes of all languages', `'"\`''""«»`],
]

/** The text in every name of an event, and the ways to find it there. */
async function nameRoundTrip(ctx: EventStoreContext, text: string): Promise<void> {
  const category = `${text}${fresh('c')}`
  const stream = `${category}-${text}`
  const type = `${text}${fresh('t')}`
  const tag = `${fresh('g')}${text}`
  const id = `${text}${fresh('i')}`
  const event = makeEvent({ type, tags: [tag], id, idGiven: true })
  await ctx.append(stream, [event])
  const [stored] = await ctx.read(stream)
  assert.deepEqual(
    [stored?.stream, stored?.type, stored?.tags, stored?.id],
    [stream, type, [tag], id],
  )
  const ways = [{ types: [type] }, { tags: [tag] }, { categories: [category] }]
  for (const way of ways)
    assert.deepEqual(
      (await ctx.log(way)).map((e) => e.id),
      [id],
    )
  assert.equal((await ctx.store.eventById(stream, id))?.id, id)
  assert.deepEqual(await ctx.streamNames({ prefix: category }), [stream])
  assert.deepEqual(await ctx.streamNames({ category }), [stream])
  assert.equal((await ctx.info(stream))?.stream, stream)
}

/** The text in data and metadata, as value, as key and in lists. */
async function contentRoundTrip(ctx: EventStoreContext, text: string): Promise<void> {
  const stream = fresh('s')
  const data = { [text]: text, list: [text, { [`${text}2`]: text }] }
  const metadata = { [text]: text, actor: text }
  await ctx.append(stream, [makeEvent({ data, metadata })])
  const [stored] = await ctx.read(stream)
  assert.equal(JSON.stringify(stored?.data), JSON.stringify(data))
  assert.equal(JSON.stringify(stored?.metadata), JSON.stringify(metadata))
}

/** Text comes back as it was, unit for unit, and is found by exactly what it is. */
export const textCases: readonly ContractCase<EventStoreContext>[] = [
  ...kinds.map(([what, text]) =>
    law(`text in content: ${what}`, (ctx) => contentRoundTrip(ctx, text)),
  ),
  ...kinds
    .filter(([, text]) => !/\p{Cc}/u.test(text.replaceAll(/[\u0080-\u009f]/g, '')))
    .map(([what, text]) => law(`text in names: ${what}`, (ctx) => nameRoundTrip(ctx, text))),
]
