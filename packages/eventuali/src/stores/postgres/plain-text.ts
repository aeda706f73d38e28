import type { Json } from '../../model/index.ts'

// PostgreSQL's text holds neither U+0000 nor half of a surrogate pair. Both are spelled with two
// characters, and what the spelling begins with is spelled out, too. Spelled texts compare as the
// texts themselves do (see `compareText`): a first half of a pair stands before the pairs that
// begin with it, a second half above all characters.

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const SUSPECT = /[\u0000\u0001\uffff\udfff]/
/** The same in JSON text. */
const SUSPECT_JSON = /\\u000[01]|\\ud[89a-f]|[\uffff\udfff]/i
const ESCAPE = '\u0001'
const ITSELF = '\u0002'
/** What follows a mark for a half that stands there. */
const HALF = 3
const FIRST_MARK = 0xffff
const MARK_STEP = 0x400

/** Before each first half's pairs, and after all: the last character in front of them. */
function isMark(codePoint: number): boolean {
  return codePoint >= FIRST_MARK && (codePoint & (MARK_STEP - 1)) === MARK_STEP - 1
}

function spell(character: string): string {
  const codePoint = character.codePointAt(0) as number
  if (codePoint === 0) return ESCAPE + ESCAPE
  if (codePoint === 1 || isMark(codePoint)) return character + ITSELF
  const half = codePoint - 0xd800
  if (half < 0 || half > 0x7ff) return character
  const step = Math.min(half, MARK_STEP)
  const mark = String.fromCodePoint(FIRST_MARK + step * MARK_STEP)
  return mark + String.fromCharCode(HALF + half - step)
}

/** A text as PostgreSQL can hold it; nearly always the text itself. */
export function toPlain(text: string): string {
  if (!SUSPECT.test(text) && text.isWellFormed()) return text
  return Array.from(text, spell).join('')
}

/** The text that `toPlain` was given. */
export function fromPlain(plain: string): string {
  if (!SUSPECT.test(plain)) return plain
  let text = ''
  let mark: string | undefined
  for (const character of plain) {
    const codePoint = character.codePointAt(0) as number
    if (mark === undefined) {
      if (codePoint === 1 || isMark(codePoint)) mark = character
      else text += character
      continue
    }
    if (character === ITSELF) text += mark
    else if (mark === ESCAPE) text += '\u0000'
    else {
      const step = ((mark.codePointAt(0) as number) - FIRST_MARK) / MARK_STEP
      text += String.fromCharCode(0xd800 + step + codePoint - HALF)
    }
    mark = undefined
  }
  return text
}

function plainJson(value: Json): Json {
  if (typeof value === 'string') return toPlain(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(plainJson)
  const entries = Object.entries(value).map(([name, one]) => [toPlain(name), plainJson(one)])
  return Object.fromEntries(entries)
}

/**
 * JSON text that SQL can look into; undefined when that is `json` itself, as nearly always: a
 * column of type json keeps any escape, but fails on those above when it is taken apart.
 */
export function plainJsonText(json: string): string | undefined {
  return SUSPECT_JSON.test(json) ? JSON.stringify(plainJson(JSON.parse(json))) : undefined
}
