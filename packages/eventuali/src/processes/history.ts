import { uuidV5 } from '../kernel/index.ts'
import type { Json, RecordedEvent } from '../model/index.ts'
import type { NewEvent, StreamAccess } from '../ports/index.ts'
import { type Cause, react } from './cause.ts'
import type { ProcessDefinition } from './define-process.ts'
import type { Chain } from './instance.ts'

/** The type of the events in which a process with `state: 'events'` keeps what it received. */
const RECEIVED = 'ProcessReceived'

interface Received {
  readonly cause: Json
  readonly now: number
  readonly compensating: boolean
  readonly version: number
}

/** The stream of a process whose state is folded from events. */
export function historyStream(process: string, key: string): string {
  return `${process}-${key}`
}

function storedCause(cause: Cause): Json {
  if (cause.kind !== 'event') return JSON.parse(JSON.stringify(cause)) as Json
  const { time, recordedAt, ...event } = cause.event
  const times = { time: time.getTime(), recordedAt: recordedAt.getTime() }
  return JSON.parse(JSON.stringify({ ...cause, event: { ...event, ...times } })) as Json
}

function causeFrom(stored: Json): Cause {
  const cause = stored as unknown as Cause
  if (cause.kind !== 'event') return cause
  const { time, recordedAt } = cause.event as unknown as { time: number; recordedAt: number }
  const event: RecordedEvent = {
    ...cause.event,
    time: new Date(time),
    recordedAt: new Date(recordedAt),
  }
  return { ...cause, event }
}

/** The event that keeps one cause in the process's stream. */
export function receivedEvent(
  cause: Cause,
  at: { readonly now: number; readonly compensating: boolean; readonly version: number },
  chain: Chain,
): NewEvent {
  const data: Received = { cause: storedCause(cause), ...at }
  return {
    id: uuidV5('received', cause.id),
    idGiven: true,
    type: RECEIVED,
    data: data as unknown as Json,
    metadata: {
      correlationId: chain.correlationId,
      causationId: cause.id,
      ...(chain.tenant === null ? {} : { tenant: chain.tenant }),
    },
    time: at.now,
    schemaVersion: 1,
    tags: [],
  }
}

/** What was received, as the definition of today sees it. */
function upcastCauses({ registry }: ProcessDefinition, cause: Cause): readonly Cause[] {
  if (cause.kind !== 'event') return [cause]
  return registry.upcast([cause.event]).map((event) => ({ ...cause, event }))
}

/** The state folded from all that a process received; what its handlers emit is left alone. */
export async function foldHistory(
  access: StreamAccess,
  definition: ProcessDefinition,
  key: string,
): Promise<unknown> {
  const stream = historyStream(definition.name, key)
  let state = definition.initial()
  for await (const page of access.readStream({ stream, direction: 'forward' })) {
    for (const event of page) {
      if (event.type !== RECEIVED) continue
      const { cause, now, compensating } = event.data as Received
      for (const each of upcastCauses(definition, causeFrom(cause))) {
        const effects = react(definition, state, each, { key, now, compensating })
        if (effects?.state !== undefined) state = effects.state
      }
    }
  }
  return state
}
