import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * The url of an empty store for an example: a SQLite file in the temporary folder, or a schema of
 * its own in the Postgres database that STORE names. What an earlier run left there is removed
 * first, and what this one leaves stays, to be looked at. In your program there is no such step: it
 * opens `sqlite:shop.db` or `postgres://…` and goes on where it was.
 */
export async function freshStore(name: string): Promise<string> {
  const url = await emptied(name, process.env.STORE ?? 'sqlite:')
  // On standard error, so that the output itself is the same on every machine.
  console.error(`the store is ${url}`)
  return url
}

async function emptied(name: string, base: string): Promise<string> {
  if (!base.startsWith('postgres')) {
    const file = join(tmpdir(), `eventuali-example-${name}.db`)
    for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true })
    return `sqlite:${file}`
  }
  const { default: pg } = await import('pg')
  const schema = `example_${name.replaceAll('-', '_')}`
  const client = new pg.Client(base)
  await client.connect()
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
  await client.end()
  const url = new URL(base)
  url.searchParams.set('schema', schema)
  return url.href
}
