import { describe, expect, it } from 'vitest'
import { systemClock } from '../../kernel/index.ts'
import { WriterTurn } from './turn.ts'

describe('the turn of the memory store', () => {
  it('goes round in order, and is left by signal or time', async () => {
    const turn = new WriterTurn(systemClock)
    await turn.enter('a', {})
    const reason = new Error('enough')
    const abort = new AbortController()
    const left = turn.enter('b', { signal: abort.signal })
    const late = turn.enter('c', { timeoutMs: 5 })
    const next = turn.enter('d', { timeoutMs: 60_000 })
    abort.abort(reason)
    await expect(left).rejects.toBe(reason)
    await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' })
    turn.leave()
    await next
    expect(turn.taken).toBe(true)
    turn.leave()
    expect(turn.taken).toBe(false)
    expect(() => turn.enter('e', { signal: AbortSignal.abort(reason) })).toThrow(reason)
  })

  it('has a line of bounded length', async () => {
    const turn = new WriterTurn(systemClock)
    await turn.enter('a', {})
    let count = 0
    const fill = () => {
      for (; count < 1_000_000; count++) void turn.enter('b', {})
    }
    expect(fill).toThrow(expect.objectContaining({ code: 'QUEUE_FULL' }))
    expect(count).toBeGreaterThan(100)
  })
})
