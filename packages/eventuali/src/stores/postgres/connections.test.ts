import { expect, test } from 'vitest'
import { type Deadline, deadlineIn, seededRandom } from '../../kernel/index.ts'
import { type ManualClock, manualClock } from '../../testing/index.ts'
import { Connections, type Session } from './connections.ts'
import type { DriverPool, DriverPoolClient } from './driver.ts'

/** What a pool does when it is asked for a client. */
type Answer = () => Promise<DriverPoolClient>

interface Made {
  readonly clock: ManualClock
  readonly connections: Connections
  readonly seen: { asked: number; released: (boolean | undefined)[]; destroyed: number }
  readonly client: DriverPoolClient
}

/** Connections over a pool whose answers are given one after the other, the last for ever. */
function over(...answers: readonly ((made: Made) => ReturnType<Answer>)[]): Made {
  const clock = manualClock()
  const seen: Made['seen'] = { asked: 0, released: [], destroyed: 0 }
  const client = {
    on: () => {},
    query: async () => ({ rows: [['7', '1.5']] }),
    release: (broken?: boolean) => void seen.released.push(broken),
    connection: { stream: { destroy: () => void seen.destroyed++ } },
  } as unknown as DriverPoolClient
  const pool = {
    on: () => {},
    off: () => {},
    connect: () => {
      const answer = answers[Math.min(seen.asked++, answers.length - 1)]
      return (answer as (made: Made) => ReturnType<Answer>)(made)
    },
  } as unknown as DriverPool
  const sizes = { appends: 1, reads: 1, subscriptions: 1, transactions: 1 }
  const limits = { sizes, connectTimeoutMs: 1000 }
  const injected = { clock, random: seededRandom(1) }
  const connections = new Connections({
    ...{ driver: undefined, url: undefined, pool },
    ...limits,
    ...injected,
  })
  const made: Made = { clock, connections, seen, client }
  return made
}

const gives = async ({ client }: Made) => client
const fails = (error: unknown) => () => Promise.reject(error)
const reported = (code: string) =>
  Object.assign(new Error(`state ${code}`), { code, severity: 'FATAL' })
const forEver: Deadline = { leftMs: () => Number.POSITIVE_INFINITY, signal: undefined }

/** The session, or the error, after so much time. */
async function after(clock: ManualClock, ms: number, work: Promise<Session>): Promise<unknown> {
  const settled = work.catch((error: unknown) => error)
  // Until its first wait has begun.
  await clock.advance(0)
  await clock.advance(ms)
  return settled
}

test('a server that starts, is full or resets is asked again until the deadline', async () => {
  const busy = ['57P03', '53300', '08006'].map((code) => fails(reported(code)))
  const reset = fails(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))
  const { clock, connections, seen } = over(...busy, reset, gives)
  const session = (await after(
    clock,
    5000,
    connections.acquire('reads', deadlineIn(clock, 10_000)),
  )) as Session
  expect(seen.asked).toBe(5)
  expect(session.backend).toEqual({ pid: '7', startedAt: '1.5' })
  const refusing = over(fails(reported('53300')))
  const refused = await after(
    refusing.clock,
    10_000,
    refusing.connections.acquire('reads', deadlineIn(refusing.clock, 2000)),
  )
  expect(refused).toMatchObject({ code: 'CONNECTION_FAILED', message: /state 53300/ })
  expect(refusing.seen.asked).toBeGreaterThan(2)
})

test('a wrong password or database is said at once', async () => {
  for (const code of ['28P01', '3D000']) {
    const { clock, connections, seen } = over(fails(reported(code)))
    const refused = connections.acquire('reads', deadlineIn(clock, 10_000))
    await expect(refused).rejects.toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(seen.asked).toBe(1)
  }
})

test('an error says what happened, though its own words are missing', async () => {
  // What Node throws when none of several addresses answers.
  const silent = Object.assign(new AggregateError([], ''), { code: 'ECONNREFUSED' })
  for (const [error, text] of [
    [silent, 'ECONNREFUSED'],
    ['no error at all', 'no error at all'],
    [new TypeError(''), ''],
  ] as const) {
    const { clock, connections } = over(fails(error))
    const refused = connections.acquire('reads', deadlineIn(clock, 1000), false)
    await expect(refused).rejects.toMatchObject({
      ...{ code: 'CONNECTION_FAILED', message: expect.stringContaining(text), cause: error },
    })
  }
})

test('a pool without a free client is waited for until the deadline', async () => {
  let give: (client: DriverPoolClient) => void = () => {}
  const { clock, connections, seen, client } = over(
    () =>
      new Promise((resolve) => {
        give = resolve
      }),
  )
  const late = await after(clock, 300, connections.acquire('reads', deadlineIn(clock, 300)))
  expect(late).toMatchObject({ code: 'TIMEOUT', message: /a connection .*300 ms/ })
  // One that comes too late goes straight back.
  give(client)
  await clock.advance(0)
  expect(seen.released).toEqual([undefined])
  expect(clock.pending).toBe(0)
})

test('a wait without a bound has no timer, one with a signal ends with its reason', async () => {
  let fail: (error: Error) => void = () => {}
  const waiting = () =>
    new Promise<DriverPoolClient>((_, reject) => {
      fail = reject
    })
  const { clock, connections, seen } = over(waiting, gives)
  const stop = new AbortController()
  const asked = connections.acquire('reads', { ...forEver, signal: stop.signal }, false)
  expect(clock.pending).toBe(0)
  stop.abort(new Error('enough'))
  await expect(asked).rejects.toThrow('enough')
  // The pool's own failure after that is nobody's any more.
  fail(new Error('too late'))
  await clock.advance(0)
  const session = await connections.acquire('reads', forEver)
  session.release()
  expect(seen.released).toEqual([false])
})

test('who waits for the server to come back is told when the store closes', async () => {
  const { clock, connections } = over(fails(reported('57P03')))
  const waiting = connections.acquire('appends', deadlineIn(clock, 60_000))
  const refused = expect(waiting).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  await clock.advance(100)
  await connections.close()
  await clock.advance(2000)
  await refused
})

test('a client goes back once, and a broken one is cut off without a goodbye', async () => {
  const { connections, seen } = over(gives)
  const whole = await connections.acquire('reads', forEver)
  whole.release()
  whole.release(true)
  expect(seen).toMatchObject({ released: [false], destroyed: 0 })
  const broken = await connections.acquire('reads', forEver)
  broken.release(true)
  broken.release()
  expect(seen).toMatchObject({ released: [false, true], destroyed: 1 })
})
