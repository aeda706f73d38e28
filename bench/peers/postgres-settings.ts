import type { Bring } from './adapter.ts'

interface Driver {
  readonly default: {
    readonly Client: new (options: {
      readonly connectionString: string
    }) => {
      connect(): Promise<void>
      query(sql: string): Promise<{ readonly rows: readonly Readonly<Record<string, string>>[] }>
      end(): Promise<void>
    }
  }
}

const settingsSql = `SELECT current_setting('fsync') AS fsync,
  current_setting('synchronous_commit') AS sync`

/** What a connection without settings of its own gets, as those of the peers are. */
export async function postgresSettings(bring: Bring, url: string): Promise<string> {
  const { Client } = (await bring<Driver>('pg')).default
  const client = new Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query(settingsSql)
  await client.end()
  return `fsync ${rows[0]?.fsync}, synchronous_commit ${rows[0]?.sync}`
}
