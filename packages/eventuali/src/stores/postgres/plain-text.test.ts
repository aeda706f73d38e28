import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareText } from '../../kernel/index.ts'
import { fromPlain, plainJsonText, toPlain } from './plain-text.ts'

const units = fc.array(
  fc.constantFrom(
    ...[0, 1, 2, 3, 4, 0x41, 0xd7ff, 0xd800, 0xd801, 0xdbff, 0xdc00, 0xdc01, 0xdffe, 0xdfff],
    ...[0xe000, 0xfffe, 0xffff],
  ),
  { maxLength: 6 },
)
const text = units.map((list) => String.fromCharCode(...list))

describe('texts as PostgreSQL holds them', () => {
  it('come back, and hold neither U+0000 nor half a pair', () => {
    fc.assert(
      fc.property(text, (given) => {
        const plain = toPlain(given)
        expect(plain.isWellFormed() && !plain.includes('\u0000')).toBe(true)
        expect(fromPlain(plain)).toBe(given)
      }),
    )
  })

  it('compare by their bytes as the texts do by code point', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        const bytes = Buffer.compare(Buffer.from(toPlain(a)), Buffer.from(toPlain(b)))
        expect(Math.sign(bytes)).toBe(Math.sign(compareText(a, b)))
      }),
    )
  })

  it('are themselves when they are ordinary', () => {
    expect(toPlain('Zürich 🛬')).toBe('Zürich 🛬')
    expect(plainJsonText('{"a":"Zürich 🛬"}')).toBeUndefined()
    expect(plainJsonText('{"a":"\\u0000"}')).toBe('{"a":"\\u0001\\u0001"}')
  })
})
