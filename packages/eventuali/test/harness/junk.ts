import { type Random, seededRandom } from '../../src/kernel/index.ts'

/** Thrown by the getters and methods of junk: the caller's own, so it may come back as it is. */
export class JunkError extends Error {}

const keys = ['__proto__', 'constructor', 'prototype', 'toJSON', 'then', 'length', 'a', 'b', '']
const moreKeys = ['type', 'data', 'stream', 'id', 'tags', 'kind', 'position', 'query', 'valueOf']

/** JSON that one reader or another has tripped over. */
export const hostileTexts: readonly string[] = [
  '{"__proto__":{"polluted":1}}',
  '{"a":{"__proto__":null}}',
  '{"constructor":{"prototype":{"polluted":1}}}',
  '[{"__proto__":[]}]',
  '{"a":1,"a":2,"a":{"__proto__":3}}',
  '1e400',
  '-1e400',
  '[1e-400,-0,0.1,123456789012345678901234567890]',
  `${'['.repeat(300)}${']'.repeat(300)}`,
  `${'{"a":'.repeat(250)}1${'}'.repeat(250)}`,
]
const deepText = `${'['.repeat(20_000)}${']'.repeat(20_000)}`

const numbers = [0, -0, 1, -1, 0.5, 2, 255, 256, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 53 - 1, 1e21]
const noNumbers = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -(2 ** 53)]

/** Texts in which one system or another has been wrong. */
export const texts: readonly string[] = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '\udc00x',
  'x\udbff',
  '\ufeffx',
  '\ufffd',
  '\uffff',
  '\u{10ffff}',
  'e\u0301',
  '\u00e9',
  '\u202eabc',
  '👩‍👩‍👧',
  '$deleted',
  '$',
  '-',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  "';DROP TABLE eventuali_events;--",
  '%',
  '_',
  '\\',
  '"',
  "'",
  '`',
  '../../etc/passwd',
  'NaN',
  'x'.repeat(255),
  'x'.repeat(256),
  '\n',
  '\r\n',
  '\u2028',
]

/** Everything that JavaScript has, from one seed; fast enough for hundreds of thousands. */
export class Junk {
  readonly random: Random

  constructor(seed: number) {
    this.random = seededRandom(seed)
  }

  below(bound: number): number {
    return Math.floor(this.random.next() * bound)
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }

  text(): string {
    const kind = this.below(10)
    if (kind < 5) return this.pick(texts)
    if (kind < 7) return `known-${this.below(3)}`
    const length = this.below(kind === 9 ? 300 : 12)
    let text = ''
    // All units, halves of pairs among them.
    for (let i = 0; i < length; i++) {
      text += String.fromCharCode(this.below(kind === 7 ? 128 : 65_536))
    }
    return text
  }

  number(): number {
    const kind = this.below(8)
    if (kind < 4) return this.pick(numbers)
    if (kind < 5) return this.pick(noNumbers)
    if (kind < 7) return this.below(12)
    return (this.random.next() - 0.5) * 10 ** this.below(40)
  }

  bytes(lengthMax: number): Buffer {
    return Buffer.from(this.random.bytes(this.below(lengthMax + 1)))
  }

  /** A value that JSON carries. */
  json(depth = 0): unknown {
    switch (this.below(depth > 3 ? 4 : 7)) {
      case 0:
        return this.text().toWellFormed()
      case 1:
        return this.below(1e6) - 5e5
      case 2:
        return this.pick([true, false, null])
      case 3:
        return this.random.next() * 1e9
      case 4:
        return Array.from({ length: this.below(4) }, () => this.json(depth + 1))
      default: {
        const count = this.below(4)
        return Object.fromEntries(
          Array.from({ length: count }, (_, n) => [`k${n}`, this.json(depth + 1)]),
        )
      }
    }
  }

  /** Any value at all. */
  value(depth = 0): unknown {
    switch (this.below(depth > 2 ? 6 : 12)) {
      case 0:
        return this.text()
      case 1:
        return this.number()
      case 2:
        return this.pick([true, false, null, undefined])
      case 3:
        return this.#odd()
      case 4:
        return this.json(2)
      case 5:
        return this.pick([1n, -(2n ** 64n), Symbol('s'), Symbol.iterator])
      case 6:
        return this.#array(depth)
      case 7:
        return this.#trap()
      case 8:
        return JSON.parse(this.below(100) === 0 ? deepText : this.pick(hostileTexts))
      default:
        return this.#object(depth)
    }
  }

  #array(depth: number): unknown[] {
    const array = Array.from({ length: this.below(5) }, () => this.value(depth + 1))
    const kind = this.below(8)
    if (kind === 0) array.length += 1 + this.below(1000)
    if (kind === 1) array.push(array)
    if (kind === 2) Object.assign(array, { extra: 1 })
    return array
  }

  #object(depth: number): object {
    const made: Record<string, unknown> = this.below(5) === 0 ? Object.create(null) : {}
    for (let count = this.below(5); count > 0; count--) {
      const key = this.pick(this.below(2) === 0 ? keys : moreKeys)
      const value = this.value(depth + 1)
      // Defined, since an assignment would set the prototype instead.
      const property = { value, enumerable: true, configurable: true, writable: true }
      Object.defineProperty(made, key, property)
    }
    if (this.below(12) === 0) made.self = made
    return made
  }

  /** Objects of the language. */
  #odd(): unknown {
    switch (this.below(14)) {
      case 0:
        return new Date(this.pick([0, Number.NaN, 8.64e15, -62135596800001, Date.UTC(2024, 1, 29)]))
      case 1:
        return new Map([[this.text(), 1]])
      case 2:
        return new Set([1])
      case 3:
        return /x/g
      case 4:
        return new Error('junk')
      case 5:
        return Promise.resolve(1)
      case 6:
        return new Uint8Array(this.below(5))
      case 7:
        return () => 1
      case 8:
        return class {}
      case 9:
        return Object(this.pick(['boxed', 1, true, 1n]))
      case 10:
        return globalThis
      case 11:
        return new WeakMap()
      case 12:
        return new ArrayBuffer(3)
      default:
        return function* () {}
    }
  }

  /** Objects that do something when they are looked at. */
  #trap(): unknown {
    const fail = (): never => {
      throw new JunkError('a getter failed, as a test wanted')
    }
    const { a, b } = { a: this.value(2), b: this.value(2) }
    let looks = 0
    const turning = { get: () => (looks++ === 0 ? a : b), enumerable: true, configurable: true }
    switch (this.below(8)) {
      case 0:
        return Object.defineProperty({}, 'a', { get: fail, enumerable: true })
      case 1:
        return { toJSON: fail }
      case 2:
        return { toString: fail, valueOf: fail, [Symbol.toPrimitive]: fail }
      case 3:
        return Object.defineProperty({}, this.pick(moreKeys), turning)
      case 4:
        return new Proxy({}, { get: () => a, has: () => true })
      case 5:
        return new Proxy({ a }, { get: fail, ownKeys: () => ['a', 'b'] })
      case 6:
        // biome-ignore lint/suspicious/noThenProperty: awaiting junk must not be fooled by it.
        return { then: (resolve: (value: unknown) => void) => resolve(b) }
      default:
        return Object.defineProperty([a, b], 1, turning)
    }
  }
}
