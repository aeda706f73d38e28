import { describe, expect, it } from 'vitest'
import { ConnectionError, VersionConflictError } from '../../model/index.ts'
import { asClient } from './driver.ts'
import {
  isInterference,
  isRequestFault,
  isTableMissing,
  recordConflictAt,
  storageFailure,
} from './failures.ts'
import { openPostgresStore } from './index.ts'

const raised = (more: object, message = 'planted') => Object.assign(new Error(message), more)
const codeOf = (error: Error) => (error as { code?: string }).code

describe('an error of PostgreSQL', () => {
  const state = (code: string, detail?: unknown) => raised({ code, severity: 'ERROR', detail })

  it('is one of the library, by its state', () => {
    const own = new VersionConflictError('s', 1, 2)
    expect(storageFailure('a read', 5, own)).toBe(own)
    expect(codeOf(storageFailure('a read', 5, state('53100')))).toBe('STORAGE_FULL')
    expect(codeOf(storageFailure('a read', 5, state('55P03')))).toBe('TIMEOUT')
    expect(codeOf(storageFailure('a read', 5, state('57014')))).toBe('TIMEOUT')
    expect(codeOf(storageFailure('a read', 5, state('40001')))).toBe('STORAGE_BUSY')
    expect(codeOf(storageFailure('a read', 5, state('EV001')))).toBe('STORAGE_BUSY')
    expect(codeOf(storageFailure('a read', 5, state('42601')))).toBe('STORAGE_FAILED')
  })

  it('says which numbers have come to their end, and takes no other check for that', () => {
    const checked = (constraint: string) => raised({ ...state('23514'), constraint })
    const positions = storageFailure('an append', 5, state('2200H'))
    expect(positions).toMatchObject({ code: 'NUMBERS_EXHAUSTED', of: 'log' })
    const versions = storageFailure('an append', 5, checked('streams_version_safe'))
    expect(versions).toMatchObject({ code: 'NUMBERS_EXHAUSTED', of: 'stream' })
    const own = storageFailure('an append', 5, checked('of_somebody_else'))
    expect(codeOf(own)).toBe('STORAGE_FAILED')
  })

  it('of the connection keeps its words, or says what was tried', () => {
    const reset = raised({ code: 'ECONNRESET' }, 'read ECONNRESET')
    expect(storageFailure('a read', 5, reset)).toMatchObject({
      ...{ code: 'CONNECTION_FAILED', cause: reset },
      message: expect.stringContaining('read ECONNRESET'),
    })
    const silent = storageFailure('a read', 5, raised({ code: 'ECONNREFUSED' }, ''))
    expect(silent.message).toContain('a read')
    // Drivers and proxies that throw what is no error.
    expect(storageFailure('a read', 5, 'gone away').message).toContain('gone away')
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
