import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { diffStates, isSameState, pointerOf, valueAt } from './state-diff.ts'

const seed = Number(process.env.EVENTUALI_SEED ?? Date.now() % 2 ** 31)
const state = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(0, 1, 'a', '', null, true),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'a/b', '~', '__proto__', ''), tie('value'), {
      maxKeys: 4,
    }),
    fc.constantFrom(new Date(1), new Date(2), new Map([['a', 1]]), new Map(), new Set([1])),
  ),
})).value

/** Makes the changes one by one: what comes out has to be the other state. */
function patched(before: unknown, changes: ReturnType<typeof diffStates>): unknown {
  let root = structuredClone(before)
  // From the end, so that the elements of an array keep their places.
  for (const { path, kind, after } of [...changes].reverse()) {
    const keys = pointerOf(path)
    const last = keys.at(-1)
    if (last === undefined) {
      root = after
      continue
    }
    const parent = valueAt(root, keys.slice(0, -1)) as Record<string, unknown>
    if (kind !== 'removed') {
      const fresh = { value: after, configurable: true, enumerable: true, writable: true }
      Object.defineProperty(parent, last, fresh)
    } else if (Array.isArray(parent)) parent.splice(Number(last), 1)
    else delete parent[last]
  }
  return root
}

describe('differences of states', () => {
  it('make the one of the other, and are none only when they are equal', () => {
    fc.assert(
      fc.property(state, state, (before, after) => {
        const changes = diffStates(before, after)
        expect(isSameState(before, after)).toBe(changes.length === 0)
        const made = patched(before, changes)
        expect(isSameState(made, after)).toBe(true)
        expect(changes.length === 0).toBe(
          isDeepStrictEqual(structuredClone(before), structuredClone(after)),
        )
        for (const { path, kind, after: value } of changes) {
          const found = valueAt(after, pointerOf(path))
          if (kind !== 'removed') expect(found).toBe(value)
        }
      }),
      { seed, numRuns: 2000 },
    )
  })

  it('name what was added, removed and changed, by JSON Pointers', () => {
    const before = { a: 1, 'b/c': { '~': [1, 2] }, gone: true }
    const after = { a: 1, 'b/c': { '~': [1, 3, 4] }, come: null }
    expect(diffStates(before, after)).toEqual([
      { path: '/b~1c/~0/1', kind: 'changed', before: 2, after: 3 },
      { path: '/b~1c/~0/2', kind: 'added', before: undefined, after: 4 },
      { path: '/gone', kind: 'removed', before: true, after: undefined },
      { path: '/come', kind: 'added', before: undefined, after: null },
    ])
  })

  it.each([
    ['dates', new Date(1), new Date(2)],
    ['maps', new Map([[1, 1]]), new Map([[1, 2]])],
    ['sets', new Set([1]), new Set([2])],
    ['bytes', new Uint8Array([1]), new Uint8Array([2])],
    ['not a number and one', Number.NaN, 1],
    ['an array and an object', [], {}],
    ['null and an object', null, {}],
  ])('see %s as a whole', (_name, before, after) => {
    expect(diffStates({ at: before }, { at: after })).toEqual([
      { path: '/at', kind: 'changed', before, after },
    ])
    expect(isSameState({ at: before }, { at: structuredClone(before) })).toBe(true)
  })

  it('come to an end in circles', () => {
    const circle = (n: number) => {
      const made: { n: number; self?: unknown } = { n }
      made.self = made
      return made
    }
    expect(diffStates(circle(1), circle(1))).toEqual([])
    expect(diffStates(circle(1), circle(2)).map(({ path }) => path)).toContain('/n')
  })

  it('are looked up by pointers, in maps too', () => {
    const of = { lines: [{ price: 3 }], by: new Map([['x', { y: 1 }]]) }
    const at = (path: string) => valueAt(of, pointerOf(path))
    expect([at('/lines/0/price'), at('/by/x/y'), at('/no/where'), at('/toString')]).toEqual([
      ...[3, 1, undefined, undefined],
    ])
    expect(at('')).toBe(of)
    expect(() => pointerOf('lines')).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }))
  })
})
