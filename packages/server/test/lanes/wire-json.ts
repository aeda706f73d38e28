import { hostileTexts, type Junk } from '../../../eventuali/test/harness/junk.ts'

const numbers = ['1e400', '-1e400', '1e-400', '-0', '9007199254740993', '1e999999', '0.1e1']
const keys = ['__proto__', 'constructor', 'prototype', 'toJSON', 'then', '', 'data', 'type']

/** A JSON text that was not meant for any place: deep, wide, long, huge, doubled. */
function bomb(junk: Junk): string {
  const count = 10 ** (1 + junk.below(4))
  switch (junk.below(6)) {
    case 0:
      return '['.repeat(count) + ']'.repeat(count)
    case 1:
      return `${'{"a":'.repeat(count)}1${'}'.repeat(count)}`
    case 2:
      return `{${Array.from({ length: count }, (_, n) => `"k${n}":${n}`).join()}}`
    case 3:
      return JSON.stringify('\u0000'.repeat(count))
    case 4:
      return '['.repeat(count)
    default:
      return `[${'9'.repeat(count)}]`
  }
}

/** One JSON text, from any place. */
function anyToken(junk: Junk): string {
  switch (junk.below(8)) {
    case 0:
      return junk.pick(numbers)
    case 1:
      return junk.pick(hostileTexts)
    case 2:
      return JSON.stringify(junk.text())
    case 3:
      return String(junk.number())
        .replace('NaN', 'null')
        .replace(/-?Infinity/, '1e400')
    case 4:
      return junk.pick(['null', 'true', '{}', '[]', '""', '0', '-1', '1.5'])
    case 5:
      return junk.below(10) === 0 ? bomb(junk) : '[[[[]]]]'
    case 6:
      return `{${JSON.stringify(junk.pick(keys))}:${JSON.stringify(junk.json(2))}}`
    default:
      return JSON.stringify(junk.json())
  }
}

/** The JSON of a value with one place in it changed, lost or doubled. */
function changed(junk: Junk, sample: unknown): string {
  const mark = '@@here@@'
  let at = junk.below(8)
  const visit = (value: unknown): unknown => {
    if (at-- === 0) return mark
    if (Array.isArray(value)) return value.map(visit)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, visit(one)]))
  }
  const text = JSON.stringify(visit(sample))
  if (junk.below(6) === 0) {
    const key = JSON.stringify(junk.pick(keys))
    return text.replace('{', `{${key}:${anyToken(junk)},`).replace(`"${mark}"`, 'null')
  }
  return text.replace(`"${mark}"`, () => anyToken(junk))
}

/** A body: nearly what was meant, or nothing of the kind. */
export function wireBody(junk: Junk, sample: unknown): Buffer {
  const kind = junk.below(20)
  if (kind < 3) return Buffer.from(JSON.stringify(sample))
  if (kind < 12) return Buffer.from(changed(junk, sample))
  if (kind < 15) return Buffer.from(anyToken(junk))
  if (kind === 15) return Buffer.from(bomb(junk))
  if (kind === 16) return Buffer.from(`\ufeff${JSON.stringify(sample)}`)
  if (kind === 17) {
    const text = Buffer.from(JSON.stringify(sample))
    return text.subarray(0, junk.below(text.length + 1))
  }
  if (kind === 18) return Buffer.concat([Buffer.from('{"a":"'), junk.bytes(20), Buffer.from('"}')])
  return junk.bytes(200)
}
