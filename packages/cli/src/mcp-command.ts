import { Readable } from 'node:stream'
import { Command } from 'commander'
import type { Config } from 'eventuali'
import { storeOption, wholeNumber } from './arguments.ts'
import { Refused, UsageError } from './exit-codes.ts'
import { Guide } from './guide.ts'
import type { Session } from './session.ts'

interface McpFlags {
  readonly store?: string
  readonly allowWrite?: readonly string[]
  readonly http?: true | number
  readonly host?: string
  readonly keyEnv?: string
}

const help = `
Examples:
  eventuali mcp --store sqlite:shop.db
  eventuali mcp --allow-write 'order-*' note-1
  eventuali mcp --http 4401 --key-env MCP_KEY

A client starts it by itself and speaks over standard input and output:
  { "mcpServers": { "eventuali": { "command": "npx", "args": ["eventuali", "mcp"] } } }

Tools only read unless --allow-write names the streams that may be appended to. Nothing that deletes
is offered. The definitions of eventuali.config.ts make states and projections visible.
`

const HTTP_PORT = 4401

/** `mcp` */
export function mcpCommand(session: Session): Command {
  return new Command('mcp')
    .description('answer models (Model Context Protocol): tools that look at the store')
    .addOption(storeOption())
    .option('--allow-write <streams...>', 'offer tools that write; appends go to these streams')
    .option('--http [port]', `listen for HTTP at /mcp; port ${HTTP_PORT}`, wholeNumber(0, 65_535))
    .option('--host <address>', 'with --http: 127.0.0.1 when left out')
    .option('--key-env <name>', 'with --http: the environment variable with the key to be shown')
    .addHelpText('after', help)
    .action((flags: McpFlags) => runMcp(session, flags))
}

function mcpOptions({ events, aggregates, projections, processes }: Config, flags: McpFlags) {
  const { allowWrite: streams } = flags
  return {
    definitions: { events, aggregates, projections, processes },
    writes: streams === undefined ? undefined : { streams },
    guide: Guide.forModels(),
  }
}

async function runMcp(session: Session, flags: McpFlags): Promise<void> {
  const { http, host, keyEnv, allowWrite } = flags
  if (http === undefined && (host ?? keyEnv) !== undefined) {
    throw new UsageError('--host and --key-env go with --http')
  }
  const access = allowWrite === undefined ? 'read' : 'change'
  const options = mcpOptions(await session.config(), flags)
  const { signal, io } = session
  await session.withStore(flags.store, access, async (store) => {
    if (http !== undefined) return await listen(session, store, flags, options)
    const { serveMcpStdio } = await import('@eventuali/server')
    const place = await session.place(flags.store)
    session.say(`eventuali: answering models about ${place.shownUrl}`)
    const input = io.stdin instanceof Readable ? io.stdin : Readable.from(io.stdin)
    return await serveMcpStdio(store, { ...options, input, output: io.stdout, signal })
  })
}

async function listen(
  session: Session,
  store: Parameters<Parameters<Session['withStore']>[2]>[0],
  { http, host, keyEnv, allowWrite }: McpFlags,
  mcp: ReturnType<typeof mcpOptions>,
): Promise<void> {
  const { hashApiKey, serve } = await import('@eventuali/server')
  const role = allowWrite === undefined ? 'read' : 'write'
  const key = keyEnv === undefined ? undefined : session.io.env[keyEnv]
  if (keyEnv !== undefined && (key === undefined || key === '')) {
    throw new Refused(`the environment variable ${keyEnv} is not set; put the key into it`)
  }
  const auth =
    key === undefined
      ? undefined
      : { keys: [{ name: 'mcp', role, hash: hashApiKey(key) } as const] }
  if (auth === undefined && host !== undefined) {
    throw new UsageError('--host needs --key-env, so that not everybody is let in')
  }
  const running = await serve(store, {
    ...{ host, mcp, auth: auth ?? { anonymous: role } },
    port: typeof http === 'number' ? http : HTTP_PORT,
  })
  session.say(`eventuali: answering models at ${running.url}/mcp; Ctrl-C ends it`)
  await new Promise<void>((resolve) => {
    session.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  await running.close()
}
