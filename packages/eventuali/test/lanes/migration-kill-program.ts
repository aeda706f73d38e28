import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { openStore } from '../../src/index.ts'
import { programInput, runProgram } from '../harness/program.ts'

/** Makes a file of an older schema and opens it, while every call of the system is recorded. */
export interface MigrationProgramInput {
  readonly file: string
  /** SQL of the older file; left out for one that is new. */
  readonly fixture?: string | undefined
  /** Made between the two. */
  readonly mark: string
}

const { file, fixture, mark } = programInput<MigrationProgramInput>()

runProgram(async () => {
  if (fixture !== undefined) {
    const connection = new DatabaseSync(file)
    const text = readFileSync(fixture, 'utf8')
    connection.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; ${text}`)
    connection.close()
  }
  const marks = new DatabaseSync(mark)
  marks.exec('CREATE TABLE here (n INTEGER)')
  marks.close()
  const store = await openStore(`sqlite:${file}`)
  await store.close()
})
