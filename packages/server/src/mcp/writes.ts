import { randomUUID } from 'node:crypto'
import type { SchemaSource } from 'eventuali'
import { z } from 'zod'
import { shownEvent } from './answer.ts'
import { projectionOf, type Tool, type ToolContext, ToolRefusal, tool } from './tool.ts'

function writesOf({ writes }: ToolContext) {
  if (writes === undefined) throw new ToolRefusal('writing is off; start it with --allow-write')
  return { ...writes, actor: writes.actor ?? 'mcp' }
}

/** Throws ToolRefusal unless the stream is one of those that may be appended to. */
function assertAllowed(context: ToolContext, stream: string): void {
  const { streams } = writesOf(context)
  const isAllowed = streams.some((allowed) =>
    allowed.endsWith('*') ? stream.startsWith(allowed.slice(0, -1)) : stream === allowed,
  )
  if (isAllowed) return
  const list = streams.join(', ') || 'none'
  throw new ToolRefusal(`${stream} may not be appended to here (allowed: ${list})`)
}

const dryRun = z
  .boolean()
  .optional()
  .describe('True when left out: says what would happen. Ask a person before you say false.')

const appendEvents = tool({
  name: 'append_events',
  title: 'Append events',
  description:
    'Appends to one stream that is allowed, at the version that you have seen. A dry run unless dryRun is false. Give the same key again for the same attempt, so that it is stored once.',
  input: {
    stream: z.string(),
    expectedVersion: z.number().int().min(0).describe('Events of the stream that you have seen'),
    events: z
      .array(z.object({ type: z.string().min(1), data: z.json() }))
      .min(1)
      .max(50),
    key: z.string().min(1).max(100).optional().describe('Of this attempt; drawn when left out'),
    dryRun,
  },
  writes: { destructive: false },
  run: async (
    { stream, expectedVersion, events, key = randomUUID(), dryRun: dry = true },
    context,
  ) => {
    const { actor } = writesOf(context)
    assertAllowed(context, stream)
    const head = await context.store.stream(stream)
    const version = head?.version ?? 0
    if (dry) {
      const isCurrent = version === expectedVersion
      return {
        facts: { dryRun: true, stream, version, wouldAppend: isCurrent ? events.length : 0 },
      }
    }
    const inputs = events.map(({ type, data }, n) => ({
      ...{ type, data, id: `${key}/${n}` },
      metadata: { actor, via: 'mcp' },
    }))
    const { signal } = context
    const result = await context.store.append(stream, inputs, { expectedVersion, signal })
    return {
      facts: { stream, version: result.version, key, duplicate: result.duplicate === true },
      items: result.events.map(shownEvent),
    }
  },
})

const retryDeadLetter = tool({
  name: 'retry_dead_letter',
  title: 'Retry a dead letter',
  description: 'Asks the owner of the subscription to handle the event again. Dry run by default.',
  input: { id: z.string(), dryRun },
  writes: { destructive: false },
  run: async ({ id, dryRun: dry = true }, context) => {
    const { actor } = writesOf(context)
    const letter = await context.store.deadLetters.get(id)
    if (letter === undefined) throw new ToolRefusal(`there is no dead letter ${id}`)
    if (!dry) await context.store.deadLetters.retry(id, { actor })
    return { facts: { id, dryRun: dry, subscription: letter.subscription, state: letter.state } }
  },
})

const rebuildProjection = tool({
  name: 'rebuild_projection',
  title: 'Rebuild a projection',
  description:
    'Builds the tables of a projection anew beside the live ones and switches when they are current. Readers see the old ones until then. Dry run by default.',
  input: { name: z.string(), dryRun },
  writes: { destructive: true },
  run: async ({ name, dryRun: dry = true }, context) => {
    writesOf(context)
    const { version } = projectionOf(context, name)
    if (dry) return { facts: { name, version, dryRun: true } }
    const report = await context.store.projections.rebuild(name, { signal: context.signal })
    return { facts: { name, ...report } }
  },
})

const registerSchema = tool({
  name: 'register_schema',
  title: 'Register the schemas of the configuration',
  description:
    'Writes the JSON Schemas of the configured events into the registry of the store. Dry run by default.',
  input: { dryRun },
  writes: { destructive: false },
  run: async ({ dryRun: dry = true }, context) => {
    writesOf(context)
    const { events = [], aggregates = [] } = context.definitions
    const sources = [...events, ...aggregates] as unknown as readonly SchemaSource[]
    if (sources.length === 0) throw new ToolRefusal('no events are configured')
    if (dry) return { facts: { dryRun: true, sources: sources.length } }
    const { signal } = context
    return { facts: { registered: await context.store.schemas.register(sources, { signal }) } }
  },
})

/** What is there only with `--allow-write`. */
export const writeTools: readonly Tool[] = [
  ...[appendEvents, retryDeadLetter, rebuildProjection, registerSchema],
]
