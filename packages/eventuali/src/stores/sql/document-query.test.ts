import { expect, test } from 'vitest'
import { afterPrefix, modelName } from './document-query.ts'

test('the end of a prefix is the least text above all that begin with it', () => {
  const ends: [string, string | undefined][] = [
    ['a', 'b'],
    ['az', 'a{'],
    ['\u{1f680}', '\u{1f681}'],
    ['\ud7ff', '\ue000'],
    ['\uffff', '\u{10000}'],
    ['a\u{10ffff}', 'b'],
    ['a\u{10ffff}\u{10ffff}', 'b'],
    ['\u{10ffff}', undefined],
    ['', undefined],
  ]
  for (const [prefix, end] of ends) {
    expect([prefix, afterPrefix(prefix)]).toEqual([prefix, end])
    if (end === undefined) continue
    const [last, after] = [`${prefix}\u{10ffff}`, end].map((text) => Buffer.from(text))
    expect(Buffer.compare(last as Buffer, after as Buffer)).toBe(-1)
  }
})

test('a name is a small identifier or nothing', () => {
  expect(modelName('carts__g1')).toBe('"carts__g1"')
  for (const name of ['', 'A', '1a', 'a-b', 'a"', "a'", 'a\n', `a${'b'.repeat(56)}`, 'ä']) {
    expect(() => modelName(name)).toThrow('table')
  }
})
