import { describe, expect, test } from 'vitest'
import { deadlineIn, sleep, systemClock } from '../../kernel/index.ts'
import { deferred, GroupCommit, GroupFailure, type GroupOutcome } from './group-commit.ts'

interface Job {
  readonly name: string
  readonly eventCount: number
  readonly bytes: number
}
const job = (name: string, eventCount = 1, bytes = 10): Job => ({ name, eventCount, bytes })
const clock = systemClock

function grouped(
  commit: (
    group: readonly Job[],
  ) => readonly GroupOutcome<string>[] | Promise<readonly GroupOutcome<string>[]>,
  more: { limits?: object; concurrency?: number; splits?: (error: unknown) => boolean } = {},
): GroupCommit<Job, string> {
  return new GroupCommit({ commit, clock, splits: () => true, ...more })
}

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open: () => void = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

test('what is submitted in one turn shares a group', async () => {
  const groups: string[][] = []
  const queue = grouped((group) => {
    groups.push(group.map((j) => j.name))
    return group.map((j) => `${j.name}!`)
  })
  const deep = async (name: string, depth: number) => {
    for (let i = 0; i < depth; i++) await undefined
    return queue.submit(job(name))
  }
  const results = await Promise.all([deep('a', 0), deep('b', 3), deep('c', 9)])
  expect(results).toEqual(['a!', 'b!', 'c!'])
  expect(groups).toEqual([['a', 'b', 'c']])
})

describe('a lone caller', () => {
  /** Groups that were committed before each turn of the event loop, for `count` requests. */
  async function turnsOf(count: number, commit: () => void, monotonic = () => 0) {
    const groups: number[] = []
    const queue = new GroupCommit<Job, string>({
      clock: { ...clock, monotonic },
      splits: () => true,
      commit: (group) => {
        commit()
        groups[groups.length - 1] = (groups.at(-1) ?? 0) + 1
        return group.map(() => 'done')
      },
    })
    let isOver = false
    const turn = () => {
      groups.push(0)
      if (!isOver) setImmediate(turn)
    }
    turn()
    for (let n = 0; n < count; n++) await queue.submit(job(`${n}`))
    isOver = true
    return groups.filter((n) => n > 0)
  }

  test('waits for a turn at first, and then at each sixteenth request', async () => {
    const turns = await turnsOf(100, () => {})
    expect(turns.slice(0, 7)).toEqual(Array(7).fill(1))
    expect(Math.max(...turns)).toBe(16)
    expect(turns.length).toBeLessThan(20)
  })

  test('waits for a turn after each slow request', async () => {
    let nowMs = 0
    const turns = await turnsOf(
      30,
      () => {
        nowMs += 5
      },
      () => nowMs,
    )
    expect(turns).toEqual(Array(30).fill(1))
  })

  test('shares groups again as soon as others come', async () => {
    const sizes: number[] = []
    const queue = grouped((group) => {
      sizes.push(group.length)
      return group.map((j) => j.name)
    })
    const caller = async (name: string, count: number) => {
      for (let n = 0; n < count; n++) await queue.submit(job(name))
    }
    await caller('a', 50)
    expect(sizes).toEqual(Array(50).fill(1))
    sizes.length = 0
    await Promise.all(['a', 'b', 'c', 'd'].map((name) => caller(name, 100)))
    // What the first few do alone, in the turn that the lone caller has begun, is bounded.
    expect(sizes.filter((size) => size < 4).length).toBeLessThanOrEqual(16 * 4)
    expect(sizes.slice(-50)).toEqual(Array(50).fill(4))
  })
})

test('a group is bounded by events and by bytes; one request alone may be larger', async () => {
  const sizes: number[] = []
  const queue = grouped(
    (group) => {
      sizes.push(group.length)
      return group.map((j) => j.name)
    },
    { limits: { groupEventCountMax: 4, groupBytesMax: 100 } },
  )
  await Promise.all([
    queue.submit(job('a', 9)),
    ...['b', 'c', 'd', 'e', 'f'].map((name) => queue.submit(job(name))),
    queue.submit(job('g', 1, 99)),
    queue.submit(job('h', 1, 99)),
  ])
  expect(sizes).toEqual([1, 4, 1, 1, 1])
})

test('groups that take long become smaller, and grow again when they are fast', async () => {
  for (const isAsync of [false, true]) {
    let nowMs = 0
    let msOfEvent = 1
    const sizes: number[] = []
    const commit = (group: readonly Job[]) => {
      sizes.push(group.length)
      nowMs += group.length * msOfEvent
      const names = group.map(({ name }) => name)
      return isAsync ? Promise.resolve(names) : names
    }
    const queue = new GroupCommit<Job, string>({
      ...{ commit, splits: () => true, clock: { ...clock, monotonic: () => nowMs } },
      limits: { groupEventCountMax: 500, groupMsGoal: 100 },
    })
    const submit = async (count: number) => {
      sizes.length = 0
      await Promise.all(Array.from({ length: count }, (_, n) => queue.submit(job(`${n}`))))
      return [...sizes]
    }
    // Nothing is known at first; then a millisecond an event, so a hundred of them.
    expect(await submit(900)).toEqual([500, 100, 100, 100, 100])
    msOfEvent = 100
    // Never so few that a flush is all that a group is.
    expect((await submit(900)).slice(-3, -1)).toEqual([64, 64])
    msOfEvent = 0.01
    const grown = await submit(19_000)
    expect(grown.slice(-20, -1)).toEqual(Array.from({ length: 19 }, () => 500))
  }
})

test('what comes too late in all of a group is not committed, and others go on', async () => {
  const groups: string[][] = []
  const queue = grouped((group) => {
    groups.push(group.map((j) => j.name))
    return group.map((j) => j.name)
  })
  let left = 10
  const deadline = { leftMs: () => left, signal: undefined }
  const late = [queue.submit(job('a'), deadline), queue.submit(job('b'), deadline)]
  left = 0
  for (const { reason } of (await Promise.allSettled(late)) as PromiseRejectedResult[]) {
    expect(reason).toMatchObject({ code: 'TIMEOUT' })
  }
  expect(await queue.submit(job('c'))).toBe('c')
  expect(groups).toEqual([['c']])
})

test('who wants to be alone leaves the line when it is too late, or when told to', async () => {
  const queue = grouped((group) => group.map((j) => j.name))
  const release = await queue.hold()
  const stop = new AbortController()
  const late = queue.hold(deadlineIn(clock, 20))
  const stopped = queue.hold(deadlineIn(clock, 60_000, stop.signal))
  const behind = queue.submit(job('a'))
  await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' })
  stop.abort(new Error('enough'))
  await expect(stopped).rejects.toThrow('enough')
  expect(queue.waitingCount).toBe(1)
  release()
  expect(await behind).toBe('a')
})

test('one culprit fails alone, whatever its place', async () => {
  for (const async of [false, true]) {
    for (let size = 1; size <= 9; size++) {
      for (let culprit = 0; culprit < size; culprit++) {
        const stored: string[] = []
        const run = (group: readonly Job[]) => {
          if (group.some((j) => j.name === `${culprit}`)) throw new Error('planted')
          stored.push(...group.map((j) => j.name))
          return group.map((j) => j.name)
        }
        const queue = grouped(async ? async (group) => run(group) : run)
        const names = Array.from({ length: size }, (_, i) => `${i}`)
        const results = await Promise.allSettled(names.map((name) => queue.submit(job(name))))
        expect(results.map((r) => r.status)).toEqual(
          names.map((_, i) => (i === culprit ? 'rejected' : 'fulfilled')),
        )
        expect(stored).toEqual(names.filter((_, i) => i !== culprit))
      }
    }
  }
})

test('an error that meets everybody is not tried again in halves', async () => {
  let count = 0
  const queue = grouped(
    () => {
      count++
      throw new Error('disk full')
    },
    { splits: () => false },
  )
  const results = await Promise.allSettled(['a', 'b', 'c'].map((n) => queue.submit(job(n))))
  expect(results.every((r) => r.status === 'rejected')).toBe(true)
  expect(count).toBe(1)
})

test('a failure, a deferral and a lane of its own touch one request each', async () => {
  const lane = gate()
  const groups: string[][] = []
  const queue = grouped((group) => {
    groups.push(group.map((j) => j.name))
    return group.map((j) => {
      if (j.name === 'bad') return new GroupFailure(new Error('bad'))
      if (j.name === 'later' && group.length > 1) return deferred
      if (j.name === 'slow') return lane.opened.then(() => 'slow at last')
      return j.name
    })
  })
  const slow = queue.submit(job('slow'))
  const rest = ['ok', 'bad', 'later', 'fine'].map((n) => queue.submit(job(n)))
  const results = await Promise.allSettled(rest)
  expect(results.map((r) => r.status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
  expect(groups).toEqual([['slow', 'ok', 'bad', 'later', 'fine'], ['later']])
  lane.open()
  expect(await slow).toBe('slow at last')
})

test('an abort counts until the request joins a group, then no more', async () => {
  const first = gate()
  const seen: string[] = []
  const queue = grouped(async (group) => {
    seen.push(...group.map((j) => j.name))
    await first.opened
    return group.map((j) => j.name)
  })
  const late = new AbortController()
  const early = new AbortController()
  const a = queue.submit(job('a'), { leftMs: () => 1e9, signal: late.signal })
  await sleep(clock, 5)
  const b = queue.submit(job('b'), { leftMs: () => 1e9, signal: early.signal })
  const c = queue.submit(job('c'))
  early.abort(new Error('stop'))
  late.abort(new Error('too late'))
  await expect(b).rejects.toThrow('stop')
  first.open()
  expect(await Promise.all([a, c])).toEqual(['a', 'c'])
  expect(seen).toEqual(['a', 'c'])
})

test('a deadline passes while the lane is taken', async () => {
  const first = gate()
  const queue = grouped(async (group) => {
    await first.opened
    return group.map((j) => j.name)
  })
  const a = queue.submit(job('a'))
  await sleep(clock, 5)
  const long = queue.submit(job('long'), deadlineIn(clock, 60_000))
  const short = queue.submit(job('short'), deadlineIn(clock, 20))
  await expect(short).rejects.toMatchObject({ code: 'TIMEOUT' })
  first.open()
  expect(await Promise.all([a, long])).toEqual(['a', 'long'])
})

test('the queue is bounded by count and by bytes', async () => {
  const first = gate()
  const queue = grouped(
    async (group) => {
      await first.opened
      return group.map((j) => j.name)
    },
    { limits: { queueCountMax: 3, queueBytesMax: 100 } },
  )
  const running = queue.submit(job('a'))
  await sleep(clock, 5)
  const waiting = [queue.submit(job('huge', 1, 5000))]
  await expect(queue.submit(job('b'))).rejects.toMatchObject({ code: 'QUEUE_FULL' })
  first.open()
  await Promise.all([running, ...waiting])
  const held = await queue.hold()
  const three = ['c', 'd', 'e'].map((n) => queue.submit(job(n)))
  await expect(queue.submit(job('f'))).rejects.toMatchObject({ code: 'QUEUE_FULL' })
  held()
  expect(await Promise.all(three)).toEqual(['c', 'd', 'e'])
})

test('a hold is alone, in its turn', async () => {
  const log: string[] = []
  const queue = grouped(
    async (group) => {
      log.push(`+${group.map((j) => j.name).join('')}`)
      await sleep(clock, 3)
      log.push(`-${group.map((j) => j.name).join('')}`)
      return group.map((j) => j.name)
    },
    { concurrency: 2 },
  )
  const a = queue.submit(job('a'))
  const hold = queue.hold()
  const b = queue.submit(job('b'))
  const release = await hold
  log.push('held')
  await sleep(clock, 10)
  log.push('released')
  release()
  await Promise.all([a, b])
  expect(log).toEqual(['+a', '-a', 'held', 'released', '+b', '-b'])
})

test('a hold that came too late keeps nothing', async () => {
  const queue = grouped((group) => group.map((j) => j.name))
  let leftMs = 5
  const late = queue.hold({ leftMs: () => leftMs, signal: undefined })
  // The queue was free, so that no timer was set; the time ran out before its turn.
  leftMs = 0
  await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' })
  expect(await queue.submit(job('a'), deadlineIn(clock, 5000))).toBe('a')
  const release = await queue.hold(deadlineIn(clock, 5000))
  release()
  await queue.close()
})

test('several lanes run at once, no more than allowed', async () => {
  let running = 0
  let most = 0
  const queue = grouped(
    async (group) => {
      most = Math.max(most, ++running)
      await sleep(clock, 3)
      running--
      return group.map((j) => j.name)
    },
    { concurrency: 2, limits: { groupEventCountMax: 1 } },
  )
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map((n) => queue.submit(job(n))))
  expect(most).toBe(2)
})

test('close drains what was accepted and refuses the rest', async () => {
  const queue = grouped(async (group) => {
    await sleep(clock, 3)
    return group.map((j) => j.name)
  })
  const accepted = ['a', 'b'].map((n) => queue.submit(job(n)))
  const closed = queue.close()
  await expect(queue.submit(job('c'))).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  await closed
  expect(await Promise.all(accepted)).toEqual(['a', 'b'])
})

test('a deadline that passes before the group begins touches that caller only', async () => {
  const groups: string[][] = []
  const queue = grouped((group) => {
    groups.push(group.map((j) => j.name))
    return group.map((j) => j.name)
  })
  let leftMs = 50
  const late = queue.submit(job('late'), { leftMs: () => leftMs, signal: undefined })
  const rest = queue.submit(job('rest'), { leftMs: () => 50, signal: undefined })
  const free = queue.submit(job('free'))
  leftMs = 0
  await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' })
  expect(await Promise.all([rest, free])).toEqual(['rest', 'free'])
  expect(groups).toEqual([['rest', 'free']])
})

test('deadlines pass in any order while the lane is taken, others go on', async () => {
  const { opened, open } = gate()
  const taken = gate()
  const queue = grouped(async (group) => {
    taken.open()
    if (group[0]?.name === 'first') await opened
    return group.map((j) => j.name)
  })
  const first = queue.submit(job('first'))
  await taken.opened
  const names = ['short', 'long', 'shorter']
  const [short, long, shorter] = [30, 60_000, 10].map((ms, i) =>
    queue.submit(job(names[i] as string), deadlineIn(clock, ms)),
  )
  await expect(shorter).rejects.toMatchObject({ code: 'TIMEOUT' })
  await expect(short).rejects.toMatchObject({ code: 'TIMEOUT' })
  open()
  expect([await first, await long]).toEqual(['first', 'long'])
})

test('a request that is put back heeds its signal, also one that came meanwhile', async () => {
  const { opened, open } = gate()
  const rounds: string[][] = []
  const queue = grouped(async (group) => {
    rounds.push(group.map((j) => j.name))
    if (rounds.length === 1) await opened
    return group.map((j) => (rounds.length === 1 ? deferred : j.name))
  })
  const gone = new AbortController()
  const stays = new AbortController()
  const withSignal = (name: string, signal: AbortSignal) =>
    queue.submit(job(name), { leftMs: () => 1e9, signal })
  const lost = withSignal('lost', gone.signal)
  const kept = withSignal('kept', stays.signal)
  const plain = queue.submit(job('plain'))
  await sleep(clock, 2)
  gone.abort(new Error('enough'))
  open()
  await expect(lost).rejects.toThrow('enough')
  expect(await Promise.all([kept, plain])).toEqual(['kept', 'plain'])
  expect(rounds).toEqual([
    ['lost', 'kept', 'plain'],
    ['kept', 'plain'],
  ])
})
