import { describe, expect, it } from 'vitest'
import { isEventualiError } from '../kernel/index.ts'
import type { EventStore } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { drain, givenEvent, makeEvents, Steps } from './contracts/steps.ts'
import { withFault } from './faults.ts'

/** A transfer between two streams: what must be there whole or not at all. */
async function transfer(store: EventStore): Promise<void> {
  const steps = new Steps(store)
  await steps.append('a-1', [givenEvent('open')])
  await store.positions()
  await store.transaction(async (tx) => {
    const inside = new Steps(tx)
    await inside.read('a-1')
    await inside.append('a-1', makeEvents(1))
    await inside.append('b-1', makeEvents(1))
  })
  await steps.readLog()
}

describe.each(['before', 'after'] as const)('a fault %s the work', (when) => {
  it('visits every call once, and leaves nothing half done', async () => {
    let at = 0
    for (; ; at++) {
      const inner = await openMemoryStore()
      const { store, fired } = withFault(inner, { at, when })
      const failure = await transfer(store).then(
        () => undefined,
        (error: unknown) => error,
      )
      if (!fired()) {
        expect(failure).toBe(undefined)
        break
      }
      expect(isEventualiError(failure, 'CONNECTION_FAILED')).toBe(true)
      const [a, b] = [await inner.stream('a-1'), await inner.stream('b-1')]
      expect(a?.version === 2).toBe(b?.version === 1)
      // What failed can be asked for again on the same store.
      await new Steps(inner).append('a-1', [givenEvent('open')])
      const log = await drain(inner.readLog({ direction: 'forward', upTo: 100 }))
      expect(log.filter((event) => event.id === 'open')).toHaveLength(1)
    }
    expect(at).toBe(7)
  })
})
