import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '../../src/kernel/index.ts'
import type { AppendCall, Expected, Operation, Outcome } from '../harness/stream-history.ts'
import { type Client, runClients } from './client-program.ts'
import { type CallBounds, callsOf, type StreamCalls } from './history-calls.ts'
import { mutate, type StreamMutant } from './history-mutants.ts'

const timeoutMs = 20_000

/** The store's calls, or those of a store with a planted bug; one for all clients of a process. */
function callsFor({ store, job, shared }: Client): StreamCalls {
  let calls = shared.get('calls') as StreamCalls | undefined
  if (calls === undefined) {
    const chance = seededRandom(job.seed)
    const mutant = job.mutant as StreamMutant | undefined
    calls = mutate(callsOf(store), mutant, () => chance.next() < 0.2)
    shared.set('calls', calls)
  }
  return calls
}

function bounds(client: Client): CallBounds {
  const chance = client.between(1, 100)
  if (chance <= 8) return { timeoutMs: client.between(1, 80) / 10 }
  if (chance > 14) return { timeoutMs }
  const abort = new AbortController()
  setTimeout(() => abort.abort(), client.between(0, 60) / 10)
  return { signal: abort.signal, timeoutMs }
}

/** Draws calls, makes them one after another and writes down what happens. */
runClients(async (client) => {
  const { job, between } = client
  const calls = callsFor(client)
  const seen = new Map<string, number>()
  let mark = client.firstMark
  const make = async (
    stream: string,
    call: Operation['call'],
    work: () => Promise<Outcome>,
  ): Promise<Outcome> => {
    const { outcome } = await client.make({ stream, call }, async () => ({ outcome: await work() }))
    if ('version' in outcome && outcome.version >= 0) seen.set(stream, outcome.version)
    return outcome
  }
  const append = async (stream: string): Promise<void> => {
    const known = seen.get(stream) ?? 0
    const choices: readonly Expected[] = [known, known, known, known, 'any', 'any', 'exists', 0]
    const call: AppendCall = {
      kind: 'append',
      marks: Array.from({ length: between(1, 3) }, () => ++mark),
      expected: choices[between(0, choices.length - 1)] ?? 'any',
      given: between(1, 10) <= 4,
    }
    const attempt = () => make(stream, call, () => calls.append(stream, call, bounds(client)))
    const { is } = await attempt()
    // With ids it may come again, whatever was told: after a doubt, and just so.
    const again = call.given && (is === 'unknown' || is === 'refused' || between(1, 3) === 1)
    if (again && client.count < job.callCount) await attempt()
  }
  while (client.count < job.callCount) {
    // New streams come up all the time, so that there are absent ones.
    const newest = job.streamCount - 1 + Math.floor(client.count / 12)
    const stream = `${job.name}-${between(0, newest)}`
    if (between(1, 4) > 1) await append(stream)
    else {
      const last = ([0, 2, 'all', 'all'] as const)[between(0, 3)] ?? 'all'
      const call = { kind: 'read', last } as const
      await make(stream, call, () => calls.read(stream, call))
    }
    if (between(1, 8) === 1) await sleep(between(0, 4))
  }
})
