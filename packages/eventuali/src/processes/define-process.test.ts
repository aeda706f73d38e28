import { expect, test } from 'vitest'
import { DefinitionError, defineEvents, type } from '../model/index.ts'
import { openStore } from '../store/index.ts'
import { defineProcess } from './index.ts'

const events = defineEvents({ Placed: type<null>() })

test.each([
  ['null', null],
  ['a number', 2n ** 64n],
  ['any object', {}],
  ['a gap in the list', 'a gap'],
  ['an object with a name', { name: 'order' }],
  ['a class of its own', class Order {}],
])('%s is refused as an aggregate', async (_name, target) => {
  // One that nobody filled in is no aggregate either, though most loops pass it over.
  const aggregates = target === 'a gap' ? new Array<never>(1) : [target as never]
  const correlate = () => 'x'
  const parts = { name: 'shipping', events: [events], correlate, initial: () => ({}), on: {} }
  expect(() => defineProcess({ ...parts, aggregates })).toThrow(DefinitionError)
  await expect(openStore('memory:', { scheduleTargets: aggregates })).rejects.toThrow(
    DefinitionError,
  )
})
