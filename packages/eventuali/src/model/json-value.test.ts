import { afterEach, expect, test } from 'vitest'
import { assertJson } from './json-value.ts'

const prototype = Object.prototype as { leftover?: unknown }

afterEach(() => {
  delete prototype.leftover
})

test('what somebody hung on the prototype of all objects is no part of the data', () => {
  prototype.leftover = () => undefined
  expect(() => assertJson({ a: { b: 1 } }, 'data')).not.toThrow()
  const own = { leftover: () => undefined }
  expect(() => assertJson(own, 'data')).toThrow('data.leftover is a function')
})

test('keys that pollute prototypes are refused, however deep they stand', () => {
  const polluting = JSON.parse('{"a": [{"__proto__": {"b": 1}}]}')
  expect(() => assertJson(polluting, 'data')).toThrow('data.a[0].__proto__ is a key that pollutes')
  const both = JSON.parse('{"constructor": {"prototype": {}}}')
  expect(() => assertJson(both, 'data')).toThrow('data.constructor is a key that pollutes')
  expect(() => assertJson({ constructor: 'of houses' }, 'data')).not.toThrow()
})
