import type { SchemaSource } from 'eventuali'
import { z } from 'zod'
import { modelOf } from './model.ts'
import { codeOf, findingsOf, sliceInput } from './slice.ts'
import { aggregateOf, type Tool, ToolRefusal, tool } from './tool.ts'

const getModel = tool({
  name: 'get_model',
  title: 'The model',
  description:
    'Aggregates with their events and commands, projections, processes, and who reads which event, as the code of the configuration says it.',
  input: {},
  run: async (_args, { definitions }) => ({ facts: { ...modelOf(definitions) } }),
})

const checkDrift = tool({
  name: 'check_drift',
  title: 'Model against store',
  description:
    'Compares the code of the configuration with the store: types that were stored and nobody defines, types that are defined and never came, stored events that the code would fail to read.',
  input: {
    sample: z
      .number()
      .int()
      .min(1)
      .max(100_000)
      .optional()
      .describe('Newest events of each type that are read; 1,000 when left out'),
  },
  run: async ({ sample = 1000 }, { store, definitions, signal }) => {
    const { events = [], aggregates = [] } = definitions
    const sources = [...events, ...aggregates] as unknown as readonly SchemaSource[]
    const stored = await store.schemas.list({ signal })
    const defined = new Set(modelOf(definitions).events.map(({ type }) => type))
    const seen = new Set(stored.filter(({ count }) => count > 0).map(({ type }) => type))
    const report = await store.schemas.check(sources, { events: sample, signal })
    const { problems, ...checked } = report
    return {
      facts: {
        ...checked,
        undefinedTypes: [...seen].filter((type) => !defined.has(type) && !type.startsWith('$')),
        neverSeen: [...defined].filter((type) => !seen.has(type)),
      },
      items: problems,
    }
  },
})

const proposeSlice = tool({
  name: 'propose_slice',
  title: 'Propose a slice',
  description:
    'Takes a command, the event that it gives and a view, and says how they fit into the model that is there. Writes nothing.',
  input: sliceInput,
  run: async (slice, { definitions }) => {
    const { aggregate, command, event, fields = {}, view } = slice
    return {
      facts: {
        slice: {
          command: { on: aggregate, name: command, input: fields },
          event: { type: event, data: fields },
          view: view ?? null,
          test: { given: [], when: command, gives: [event] },
        },
        findings: findingsOf(slice, modelOf(definitions)),
      },
    }
  },
})

const generateCode = tool({
  name: 'generate_code',
  title: 'Code of a slice',
  description: 'TypeScript of a slice and of its test, as text. Writes nothing.',
  input: sliceInput,
  run: async (slice, { definitions }) => {
    const { code, test } = codeOf(slice)
    const files = { [`${slice.aggregate}.ts`]: code, [`${slice.aggregate}.test.ts`]: test }
    return { facts: { files, findings: findingsOf(slice, modelOf(definitions)) } }
  },
})

const EVENT_COUNT_MAX = 50

const generateTestFromStream = tool({
  name: 'generate_test_from_stream',
  title: 'A test from a stream',
  description: `A test that holds the state of an aggregate to what its first events (${EVENT_COUNT_MAX} at most) make of it today, as text. Writes nothing.`,
  input: {
    stream: z.string(),
    version: z.number().int().min(1).max(EVENT_COUNT_MAX).optional(),
  },
  run: async ({ stream, version = EVENT_COUNT_MAX }, context) => {
    const { aggregate, id } = aggregateOf(context, stream)
    const { store, signal } = context
    const events = await store.readStream(stream, { to: version, signal }).toArray()
    const last = events.at(-1)
    if (last === undefined) throw new ToolRefusal(`there is no event in ${stream}`)
    const loaded: unknown = await store.aggregate(aggregate).load(id, { version: last.version })
    const isPlain = Object.getPrototypeOf(loaded) === Object.prototype
    const state = isPlain ? (loaded as { readonly state: unknown }).state : loaded
    return {
      facts: { stream, version: last.version },
      items: [{ test: testOf(stream, events, state) }],
    }
  },
})

function testOf(
  stream: string,
  events: readonly { readonly type: string; readonly data: unknown }[],
  state: unknown,
): string {
  const name = stream.slice(0, stream.indexOf('-'))
  const lines = events.map(({ type, data }) => `    ${JSON.stringify({ type, data })},`)
  return `import { test } from 'node:test'
import { given } from 'eventuali/testing'
// The definition is ${name} of your configuration.
import { aggregate } from './${name}.ts'

test(${JSON.stringify(`${stream} after ${events.length} events`)}, async () => {
  await given(aggregate, [
${lines.join('\n')}
  ] as never).thenState(${JSON.stringify(state, undefined, 2).replaceAll('\n', '\n  ')})
})
`
}

/** Looks at the code's model, and proposes more of it. */
export const designTools: readonly Tool[] = [
  ...[getModel, checkDrift, proposeSlice, generateCode, generateTestFromStream],
]
