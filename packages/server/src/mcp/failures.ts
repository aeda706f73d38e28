import { cpuUsage, memoryUsage, uptime } from 'node:process'
import { isEventualiError, proveEvent, type Store, systemClock } from 'eventuali'
import { z } from 'zod'
import { ITEM_COUNT_MAX, shownEvent } from './answer.ts'
import { type AnyAggregate, type Tool, ToolRefusal, tool } from './tool.ts'

const listDeadLetters = tool({
  name: 'list_dead_letters',
  title: 'List dead letters',
  description: 'Events that handlers could not cope with: subscription, error, attempts, state.',
  input: {
    subscription: z.string().optional(),
    state: z.enum(['parked', 'requested', 'done', 'discarded', 'any']).optional(),
    after: z.string().optional(),
    limit: z.number().int().min(1).max(ITEM_COUNT_MAX).optional(),
  },
  run: async ({ subscription, state, after, limit = 50 }, { store }) => {
    const query = { subscription, state, after, limit: limit + 1 }
    const letters = await store.deadLetters.list(query)
    return {
      facts: {},
      items: letters.slice(0, limit).map(({ error, ...letter }) => ({
        ...letter,
        error: error === null ? null : { name: error.name, message: error.message },
      })),
      more: letters.length > limit,
      nextOf: (last) => ({ subscription, state, after: (last as { readonly id: string }).id }),
    }
  },
})

const explainDeadLetter = tool({
  name: 'explain_dead_letter',
  title: 'Explain a dead letter',
  description:
    'One dead letter with its error and stack, its event, the events of the stream before it, and other letters of the same error.',
  input: { id: z.string() },
  run: async ({ id }, { store, signal }) => {
    const letter = await store.deadLetters.get(id)
    if (letter === undefined) throw new ToolRefusal(`there is no dead letter ${id}`)
    const { subscription, stream, version, error } = letter
    const from = Math.max(1, version - 5)
    const events = await store.readStream(stream, { from, to: version, signal }).toArray()
    const others = await store.deadLetters.list({ subscription, limit: 1000 })
    const alike = others.filter(
      (one) =>
        one.id !== id && one.error?.name === error?.name && one.error?.message === error?.message,
    )
    return {
      facts: { subscription, sameError: alike.length, waitsBehind: letter.ordered },
      items: [
        { letter },
        ...events.map((event) => ({ event: shownEvent(event), failed: event.version === version })),
      ],
    }
  },
})

const lagReport = tool({
  name: 'lag_report',
  title: 'Lag of everything that follows the log',
  description:
    'Position and lag of every durable subscription, projection and process, and what holds the safe position back.',
  input: {},
  run: async (_args, { store, signal }) => {
    const { safe, newest } = await store.positions({ signal })
    const items: unknown[] = []
    for (const name of await store.subscriptions.names()) {
      const status = await store.subscriptions.status(name)
      if (status === undefined) continue
      const { position, paused, partitions } = status
      const lag = Math.max(0, safe - position)
      items.push({ subscription: name, position, lag, paused, partitions })
    }
    return { facts: { safe, newest, open: newest - safe }, items }
  },
})

function connectionsOf(store: Store): unknown {
  try {
    return store.pool
  } catch (error) {
    if (isEventualiError(error, 'CAPABILITY_MISSING')) return null
    throw error
  }
}

const profileSummary = tool({
  name: 'profile_summary',
  title: 'What the server process and the store use',
  description:
    'Memory and CPU of this process, connections, hit rates of caches, and how long ten reads of the head of the log take.',
  input: {},
  run: async (_args, { store, signal }) => {
    const times: number[] = []
    for (let n = 0; n < 10; n++) {
      const started = systemClock.monotonic()
      await store.positions({ signal })
      times.push(systemClock.monotonic() - started)
    }
    times.sort((a, b) => a - b)
    const { rss, heapUsed } = memoryUsage()
    const { user, system } = cpuUsage()
    const ms = (value: number | undefined) => Math.round((value ?? 0) * 1000) / 1000
    return {
      facts: {
        process: {
          ...{
            rssBytes: rss,
            heapUsedBytes: heapUsed,
            uptimeSeconds: Math.round(uptime()),
          },
          cpuSeconds: (user + system) / 1e6,
        },
        readHeadMs: { median: ms(times[5]), slowest: ms(times.at(-1)) },
        connections: connectionsOf(store),
        replicas: store.replicas,
      },
    }
  },
})

const verifyIntegrity = tool({
  name: 'verify_integrity',
  title: 'Verify the store',
  description:
    'Proves the promises of the log over all of it: streams dense, ids unique, checksums, checkpoints, kept states. Reads everything; takes seconds per million events.',
  input: {},
  run: async (_args, { store, definitions, signal }) => {
    const aggregates = (definitions.aggregates ?? []) as readonly AnyAggregate[]
    const { problems, ...report } = await store.verify({
      ...{ aggregates: aggregates as never, problemCountMax: ITEM_COUNT_MAX, signal },
    })
    return { facts: { ...report }, items: problems }
  },
})

const proveEventTool = tool({
  name: 'prove_event',
  title: 'Prove one event',
  description:
    'Whether the event at a position, or at a version of a stream, is in the log, unchanged (its checksum), in its place of the stream (no hole beside it) and of the log (in order), and whether anything can still appear below it.',
  input: {
    position: z.number().int().min(1).optional().describe('Position in the log'),
    stream: z.string().optional().describe('With version, in the place of a position'),
    version: z.number().int().min(1).optional(),
  },
  run: async ({ position, stream, version }, { store, signal }) => {
    const isPlace = stream !== undefined && version !== undefined
    if (
      (position !== undefined) === isPlace ||
      (stream !== undefined) !== (version !== undefined)
    ) {
      throw new ToolRefusal('give position, or stream and version')
    }
    const at = position ?? (await positionOf(store, stream as string, version as number, signal))
    const { ok, event, checks } = await proveEvent(store, at, { signal })
    return {
      facts: { position: at, ok, checks },
      items: event === undefined ? [] : [shownEvent(event)],
    }
  },
})

/** Throws ToolRefusal where a stream has no such version. */
async function positionOf(
  store: Store,
  stream: string,
  version: number,
  signal: AbortSignal,
): Promise<number> {
  const range = { from: version, to: version, signal }
  const [found] = await store.readStream(stream, range).toArray()
  if (found !== undefined) return found.position
  throw new ToolRefusal(`${stream} has no version ${version}`)
}

/** Looks at what goes wrong, and how the store is. */
export const failureTools: readonly Tool[] = [
  ...[
    listDeadLetters,
    explainDeadLetter,
    lagReport,
    profileSummary,
    verifyIntegrity,
    proveEventTool,
  ],
]
