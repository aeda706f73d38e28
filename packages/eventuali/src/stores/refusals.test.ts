import { describe, expect, it } from 'vitest'
import { systemClock } from '../kernel/index.ts'
import { ConnectionError, StorageError, VersionConflictError } from '../model/index.ts'
import { WriterTurn } from './memory/turn.ts'
import { asClient } from './postgres/driver.ts'
import {
  isInterference,
  isRequestFault,
  isTableMissing,
  recordConflictAt,
  storageFailure,
} from './postgres/failures.ts'
import { openPostgresStore } from './postgres/index.ts'
import { openSqliteStore } from './sqlite/index.ts'
import { commitError, failureKind, mayBeOneRequest, storageError } from './sqlite/sqlite-errors.ts'

// What adapters make of the errors and arguments that they are handed.
const raised = (more: object, message = 'planted') => Object.assign(new Error(message), more)
const codeOf = (error: Error) => (error as { code?: string }).code

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

describe('an error of SQLite', () => {
  const full = () => true
  const roomy = () => false

  it('is known by the number of one driver and the name of the other', () => {
    expect(failureKind(raised({ errcode: 5 }))).toBe('busy')
    expect(failureKind(raised({ code: 'SQLITE_BUSY_SNAPSHOT' }))).toBe('busy')
    expect(failureKind(raised({ errcode: 13 }))).toBe('full')
    expect(failureKind(raised({ errcode: 10 | (3 << 8) }))).toBe('io')
    expect(failureKind(raised({ code: 'SQLITE_CANTOPEN' }))).toBe('io')
    expect(failureKind(raised({ code: 'SQLITE_NOTADB' }))).toBe('damaged')
    for (const other of [
      undefined,
      null,
      raised({}),
      raised({ errcode: 1 }),
      raised({ code: 'X' }),
    ]) {
      expect(failureKind(other)).toBe('other')
    }
  })

  it('is one of the library, which keeps its own as they are', () => {
    const own = new VersionConflictError('s', 1, 2)
    expect(storageError('a read', own, roomy)).toBe(own)
    expect(codeOf(storageError('a read', raised({ errcode: 5 }), roomy))).toBe('STORAGE_BUSY')
    expect(codeOf(storageError('a read', raised({ errcode: 13 }), roomy))).toBe('STORAGE_FULL')
    expect(codeOf(storageError('a read', raised({ errcode: 10 }), roomy))).toBe('STORAGE_FAILED')
    expect(codeOf(storageError('a read', raised({ errcode: 10 }), full))).toBe('STORAGE_FULL')
    expect(codeOf(storageError('a read', raised({}), full))).toBe('STORAGE_FAILED')
  })

  it('at a commit leaves open what was stored only when input or output has failed', () => {
    expect(codeOf(commitError(raised({ errcode: 10 }), roomy))).toBe('OUTCOME_UNKNOWN')
    expect(codeOf(commitError(raised({ errcode: 10 }), full))).toBe('STORAGE_FULL')
    expect(codeOf(commitError(raised({ errcode: 5 }), roomy))).toBe('STORAGE_BUSY')
    expect(codeOf(commitError(raised({}), roomy))).toBe('STORAGE_FAILED')
  })

  it('may be the fault of one request unless it is of the storage', () => {
    expect(mayBeOneRequest(raised({}))).toBe(true)
    expect(mayBeOneRequest(new StorageError('x', { cause: raised({}) }))).toBe(true)
    expect(mayBeOneRequest(new StorageError('x', { cause: raised({ errcode: 10 }) }))).toBe(false)
    expect(mayBeOneRequest(raised({ errcode: 13 }))).toBe(false)
    expect(mayBeOneRequest(new VersionConflictError('s', 1, 2))).toBe(false)
  })
})

describe('an error of PostgreSQL', () => {
  const state = (code: string, detail?: unknown) => raised({ code, severity: 'ERROR', detail })

  it('is one of the library, by its state', () => {
    const own = new VersionConflictError('s', 1, 2)
    expect(storageFailure('a read', 5, own)).toBe(own)
    expect(codeOf(storageFailure('a read', 5, state('53100')))).toBe('STORAGE_FULL')
    expect(codeOf(storageFailure('a read', 5, state('55P03')))).toBe('TIMEOUT')
    expect(codeOf(storageFailure('a read', 5, state('57014')))).toBe('TIMEOUT')
    expect(codeOf(storageFailure('a read', 5, state('40001')))).toBe('STORAGE_BUSY')
    expect(codeOf(storageFailure('a read', 5, state('42601')))).toBe('STORAGE_FAILED')
  })

  it('of the connection keeps its words, or says what was tried', () => {
    const reset = raised({ code: 'ECONNRESET' }, 'read ECONNRESET')
    expect(storageFailure('a read', 5, reset)).toMatchObject({
      ...{ code: 'CONNECTION_FAILED', cause: reset },
      message: expect.stringContaining('read ECONNRESET'),
    })
    const silent = storageFailure('a read', 5, raised({ code: 'ECONNREFUSED' }, ''))
    expect(silent.message).toContain('a read')
  })

  it('tells interference, missing tables and changed records apart', () => {
    expect(['40001', '40P01', '23505', '42P01'].map((code) => isInterference(state(code)))).toEqual(
      [...[true, true, true, false]],
    )
    expect(['42P01', '42703', '23505'].map((code) => isTableMissing(state(code)))).toEqual([
      ...[true, true, false],
    ])
    expect(recordConflictAt(state('EV002', '3'))).toBe(3)
    expect(recordConflictAt(state('EV002'))).toBe(undefined)
    expect(recordConflictAt(state('23505', '3'))).toBe(undefined)
  })

  it('is not a request’s own when the server has no room, is a replica, or is gone', () => {
    expect(isRequestFault(state('22P02'))).toBe(true)
    for (const code of ['53100', '25006']) expect(isRequestFault(state(code))).toBe(false)
    expect(isRequestFault(raised({ code: 'ECONNRESET' }))).toBe(false)
    expect(isRequestFault(new ConnectionError('gone'))).toBe(false)
  })
})

describe('arguments', () => {
  const refused = (argument: string) => ({ code: 'ARGUMENT_INVALID', argument })

  it('of a SQLite store are a path and a profile', async () => {
    for (const file of [undefined, '', 7]) {
      await expect(openSqliteStore({ file } as never)).rejects.toMatchObject(refused('file'))
    }
    const profile = 'fast' as never
    const opening = openSqliteStore({ file: ':memory:', profile })
    await expect(opening).rejects.toMatchObject(refused('profile'))
  })

  it('of a PostgreSQL store are a url or a pool, and a plain schema', async () => {
    await expect(openPostgresStore({} as never)).rejects.toMatchObject(refused('url'))
    for (const schema of ['', 'Upper', 'a-b', 'a"b', 'x'.repeat(49), 7]) {
      const opening = openPostgresStore({ url: 'postgres://x', schema } as never)
      await expect(opening).rejects.toMatchObject(refused('schema'))
    }
  })

  it('of a join are a client in a transaction', () => {
    const client = { query: () => {}, on: () => {} }
    expect(asClient(client)).toBe(client)
    expect(asClient({ ...client, _txStatus: 'T' })).toMatchObject({ _txStatus: 'T' })
    for (const value of [null, undefined, 7, {}, { query: () => {} }]) {
      expect(() => asClient(value)).toThrow(expect.objectContaining(refused('within')))
    }
    expect(() => asClient({ ...client, _txStatus: 'I' })).toThrow(/BEGIN first/)
  })
})
