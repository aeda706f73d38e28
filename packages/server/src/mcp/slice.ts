import { z } from 'zod'
import type { Model } from './model.ts'

const NAME = /^[a-z][A-Za-z0-9]*$/
const TYPE = /^[A-Z][A-Za-z0-9]*$/
const fieldType = z.enum(['string', 'number', 'boolean', 'string[]', 'number[]'])

/** A slice: one command, the event that it gives, and the view that shows it. */
export const sliceInput = {
  aggregate: z.string().regex(NAME).describe('order'),
  command: z.string().regex(NAME).describe('ship'),
  event: z.string().regex(TYPE).describe('OrderShipped'),
  fields: z
    .record(z.string().regex(NAME), fieldType)
    .optional()
    .describe('What the command takes and the event says: {"carrier": "string"}'),
  view: z.string().regex(NAME).optional().describe('A projection that shows it: shippedOrders'),
}

/** The same, as given. */
export type Slice = z.infer<z.ZodObject<typeof sliceInput>>

/** What is to be thought of before a slice is written, sentence by sentence. */
export function findingsOf(slice: Slice, model: Model): string[] {
  const { aggregate, command, event, view } = slice
  const found: string[] = []
  const there = model.aggregates.find(({ name }) => name === aggregate)
  if (there === undefined) found.push(`aggregate ${aggregate} is new`)
  else {
    const { commands, events } = there
    if (commands.includes(command)) found.push(`${aggregate} has a command ${command} already`)
    if (events.includes(event)) found.push(`${event} is there: use it, or give the new fact a name`)
  }
  const known = model.events.find(({ type }) => type === event)
  if (known !== undefined && !(there?.events.includes(event) ?? false)) {
    const who = known.of.join(', ') || 'other code'
    found.push(`the type ${event} belongs to ${who}; one type has one meaning in a store`)
  }
  if (view !== undefined && model.projections.some(({ name }) => name === view)) {
    found.push(`projection ${view} is there: add a handler to it and raise its version`)
  }
  return found
}

function upperFirst(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}

const samples: Readonly<Record<z.infer<typeof fieldType>, string>> = {
  string: "'x'",
  number: '1',
  boolean: 'true',
  'string[]': "['x']",
  'number[]': '[1]',
}

/** A module with the slice and its test, to be merged into the code that is there. */
export function codeOf({ aggregate, command, event, fields = {}, view }: Slice): {
  readonly code: string
  readonly test: string
} {
  const entries = Object.entries(fields)
  const type =
    entries.length === 0
      ? 'Record<string, never>'
      : `{ ${entries.map(([name, of]) => `${name}: ${of}`).join('; ')} }`
  const sample = `{ ${entries.map(([name, of]) => `${name}: ${samples[of]}`).join(', ')} }`.replace(
    '{  }',
    '{}',
  )
  const Aggregate = upperFirst(aggregate)
  const Input = `${upperFirst(command)}Input`
  const imports = ['defineAggregate', 'defineEvents', 'type']
  if (view !== undefined) imports.push('collection', 'defineProjection')
  const projection =
    view === undefined
      ? ''
      : `
export const ${view} = defineProjection({
  name: '${view}',
  version: 1,
  events: [${aggregate}Events],
  collections: { ${view}: collection<${Input}>() },
  handlers: {
    ${event}: ({ stream, data }, { collection: of }) => of('${view}').put(stream, data),
  },
})
`
  const code = `import { ${imports.sort().join(', ')} } from 'eventuali'

export type ${Input} = ${type}

export const ${aggregate}Events = defineEvents({ ${event}: type<${Input}>() })

export interface ${Aggregate}State {
  readonly ${command}Count: number
}

export const ${Aggregate} = defineAggregate('${aggregate}', {
  events: ${aggregate}Events,
  initial: (): ${Aggregate}State => ({ ${command}Count: 0 }),
  evolve: {
    ${event}: (state) => ({ ...state, ${command}Count: state.${command}Count + 1 }),
  },
  commands: {
    ${command}: (_state, input: ${Input}) => ${aggregate}Events.${event}(input),
  },
})
${projection}`
  const test = `import { test } from 'node:test'
import { given } from 'eventuali/testing'
import { ${Aggregate}, ${aggregate}Events } from './${aggregate}.ts'

test('${command} gives ${event}', async () => {
  await given(${Aggregate}, []).when('${command}', ${sample}).then([${aggregate}Events.${event}(${sample})])
})
`
  return { code, test }
}
