import { describe, expect, it } from 'vitest'
import { StorageError, VersionConflictError } from '../../model/index.ts'
import { openSqliteStore } from './index.ts'
import { commitError, failureKind, mayBeOneRequest, storageError } from './sqlite-errors.ts'

const raised = (more: object, message = 'planted') => Object.assign(new Error(message), more)
const codeOf = (error: Error) => (error as { code?: string }).code

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

  it('at a commit leaves open what was stored only when the log may hold all of it', () => {
    expect(codeOf(commitError(raised({ errcode: 10 }), roomy))).toBe('OUTCOME_UNKNOWN')
    expect(codeOf(commitError(raised({ errcode: 10 }), full))).toBe('OUTCOME_UNKNOWN')
    expect(codeOf(commitError(raised({ errcode: 778 }), roomy))).toBe('STORAGE_FAILED')
    expect(codeOf(commitError(raised({ code: 'SQLITE_IOERR_WRITE' }), full))).toBe('STORAGE_FULL')
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
})
