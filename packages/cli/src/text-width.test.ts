import { expect, it } from 'vitest'
import { cutTo, harmless, padTo, widthOf } from './text-width.ts'

it('counts columns, not characters', () => {
  expect(widthOf('plain')).toBe(5)
  expect(widthOf('é')).toBe(1)
  expect(widthOf('e\u0301')).toBe(1)
  expect(widthOf('日本')).toBe(4)
  expect(widthOf('🛫')).toBe(2)
})

it('cuts and fills to a width', () => {
  expect(cutTo('abcdef', 6)).toBe('abcdef')
  expect(cutTo('abcdef', 4)).toBe('abc…')
  expect(cutTo('日本語', 4)).toBe('日…')
  expect(cutTo('abc', 0)).toBe('')
  expect(padTo('日', 4, 'end')).toBe('日  ')
  expect(padTo('7', 3, 'start')).toBe('  7')
})

it('shows what would act on the terminal', () => {
  expect(harmless('a\u001b[31m\u009bb\u202e')).toBe('a\\u001b[31m\\u009bb\\u202e')
})
