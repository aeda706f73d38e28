import type { Deadline } from '../../kernel/index.ts'
import type { TuneRequest, TuningAdvice } from '../../ports/index.ts'
import { applyAdvice } from '../sql/index.ts'
import { type Connections, type Row, statement } from './connections.ts'
import { isConnectionLoss } from './failures.ts'
import {
  adviceFor,
  checkpointsText,
  type ServerFacts,
  settingNames,
  tableFacts,
  tableFactsText,
} from './tuning.ts'

async function factsOf(
  read: (sql: string) => Promise<readonly Row[]>,
  schema: string,
  poolSize: number,
): Promise<ServerFacts> {
  const list = settingNames.map((name) => `current_setting('${name}')`).join(', ')
  const [row] = await read(`SELECT current_setting('server_version_num'), ${list}`)
  const [version, ...values] = row as readonly string[]
  const tables = (await read(tableFactsText(schema))).map(tableFacts)
  const [counts] = await read(checkpointsText(Number(version)))
  const [requested = 0, timed = 0] = (counts as Row).map(Number)
  return {
    ...{ schema, tables, poolSize, checkpoints: { requested, timed } },
    settings: Object.fromEntries(settingNames.map((name, i) => [name, values[i] ?? ''])),
  }
}

/** Looks at the tables and the server, and carries out what is asked for, on one connection. */
export async function tuneSchema(
  connections: Connections,
  schema: string,
  request: TuneRequest,
  deadline: Deadline,
): Promise<readonly TuningAdvice[]> {
  const { appends, reads, subscriptions, transactions } = connections.statistics()
  const sizes = [appends, reads, subscriptions, transactions].map(({ size }) => size)
  const poolSize = sizes.reduce((sum, size) => sum + size, 0)
  const session = await connections.acquire('transactions', deadline)
  let broken = false
  const run = async (sql: string): Promise<readonly Row[]> => {
    const { rows } = await connections.run(session, statement(sql), [], deadline.leftMs())
    return rows
  }
  try {
    const advice = adviceFor(await factsOf(run, schema, poolSize))
    return await applyAdvice(advice, request, async (sql) => {
      deadline.signal?.throwIfAborted()
      await run(sql)
    })
  } catch (error) {
    broken = isConnectionLoss(error)
    throw error
  } finally {
    session.release(broken)
  }
}
