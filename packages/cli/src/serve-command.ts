import type * as server from '@eventuali/server'
import type { AuthOptions as Auth, Role, ServeOptions, Webhook } from '@eventuali/server'
import { Command, Option } from 'commander'
import type { Config, Store } from 'eventuali'
import { jsonOption, repeated, storeOption, wholeNumber } from './arguments.ts'
import { UsageError } from './exit-codes.ts'
import { Guide } from './guide.ts'
import { ServerLog } from './server-log.ts'
import type { Session } from './session.ts'

type Settings = ReturnType<Config['server']>
/** Loaded only by those who serve. */
type Server = Pick<typeof server, 'serve' | 'hashApiKey' | 'startWebhooks'>

interface ServeFlags {
  readonly store?: string
  readonly port?: number
  readonly host?: string
  readonly run?: boolean
  readonly apiKeyEnv?: readonly string[]
  readonly anonymous?: Role
  readonly jwtIssuer?: string
  readonly jwtAudience?: string
  readonly jwksUrl?: string
  readonly serverName?: readonly string[]
  readonly origin?: readonly string[]
  readonly mcp?: boolean
  readonly webhooks: boolean
  readonly log?: string
  readonly logFormat?: string
  readonly json?: boolean
}

const PORT_MAX = 65_535
const roles = ['read', 'write', 'admin'] as const
const levels = ['silent', 'error', 'warn', 'info', 'debug'] as const

/** `serve` */
export function serveCommand(session: Session): Command {
  return new Command('serve')
    .description('serve the store over HTTP until Ctrl-C')
    .addOption(storeOption())
    .option('-p, --port <n>', '0 for any that is free; 4400', wholeNumber(0, PORT_MAX))
    .option('--host <address>', 'address to listen at; any but loopback needs keys; 127.0.0.1')
    .option('--run', 'also run the projections and processes of the configuration here')
    .option(
      '--api-key-env <name[:role]>',
      'environment variable that holds an API key, and what it may do: read (default), write or admin; may be repeated',
      repeated,
    )
    .addOption(
      new Option('--anonymous <role>', 'what somebody may do who shows no key').choices(roles),
    )
    .option('--jwt-issuer <url>', 'takes tokens of this issuer, with --jwt-audience')
    .option('--jwt-audience <name>', 'whom the tokens must be for')
    .option('--jwks-url <url>', 'where the issuer shows its public keys; it is asked when left out')
    .option('--server-name <name>', 'name that clients use for it; may be repeated', repeated)
    .option('--origin <origin>', 'web pages of this origin may ask; may be repeated', repeated)
    .option('--mcp', 'also answer models at /mcp, with tools that read')
    .option('--no-webhooks', 'leave the webhooks of the configuration to another server')
    .addOption(new Option('--log <level>', 'what it tells of itself; info').choices(levels))
    .addOption(new Option('--log-format <format>', 'text or json; text').choices(['text', 'json']))
    .addOption(jsonOption('where it listens as one line of JSON'))
    .addHelpText('after', examples)
    .action((flags: ServeFlags) => runServe(session, flags))
}

const examples = `
Examples:
  eventuali serve --store sqlite:shop.db
  SHOP_KEY=… eventuali serve --store postgres://… --host 0.0.0.0 \\
    --api-key-env SHOP_KEY:write --server-name events.example.com
`

async function runServe(session: Session, flags: ServeFlags): Promise<void> {
  // Asked for first: a mistake in the words is told before anything is opened.
  await session.place(flags.store)
  const config = await session.config(settingsOf(flags))
  const loaded = await import('@eventuali/server')
  const log = new ServerLog(session.io, config.log)
  const options = optionsOf(loaded, session, config, { flags, log })
  const hooks = flags.webhooks ? webhooksOf(config.server()) : []
  await session.withStore(flags.store, 'write', async (store) => {
    if (flags.run === true) {
      await store.projections.start()
      await store.processes.start()
    }
    const { cloudEventSource } = options
    const webhooks = loaded.startWebhooks(store, hooks, { cloudEventSource })
    if (hooks.length > 0) {
      log.write('info', `sending events to ${hooks.map(({ name }) => name).join(', ')}`)
    }
    try {
      await serveUntilStopped(loaded, session, store, { options, log, json: flags.json === true })
    } finally {
      await webhooks.stop()
    }
  })
}

/** The flags that stand for settings of the configuration. */
function settingsOf(flags: ServeFlags) {
  const { port, host, anonymous, serverName, origin, log, logFormat } = flags
  const all = {
    ...{ 'log.level': log, 'log.format': logFormat },
    ...{ 'server.port': port, 'server.host': host, 'server.anonymous': anonymous },
    ...{ 'server.hosts': serverName, 'server.origins': origin },
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

interface Serving {
  readonly options: ServeOptions
  readonly log: ServerLog
  readonly json: boolean
}

/** The webhooks of the configuration, with their secrets. */
function webhooksOf({ webhooks = {} }: Settings): readonly Webhook[] {
  return Object.entries(webhooks).map(([name, { retry, ...settings }]) => ({
    ...{ name, ...settings },
    retry: Object.fromEntries(
      Object.entries(retry ?? {}).filter(([, value]) => value !== undefined),
    ),
  }))
}

async function serveUntilStopped(
  { serve }: Server,
  session: Session,
  store: Store,
  { options, log, json }: Serving,
): Promise<void> {
  const running = await serve(store, options)
  const { url: at, port } = running
  const text = json ? JSON.stringify({ url: at, port }) : at
  await session.output.write(`${text}\n`)
  const place = `what there is stands at ${at}/reference, Ctrl-C ends it`
  log.write('info', `serving; ${place}`, { url: at })
  await stopAsked(session)
  log.write('info', 'closing; what is under way is finished first')
  await running.close()
  log.write('info', 'closed')
}

function optionsOf(
  loaded: Server,
  session: Session,
  config: Config,
  { flags, log }: { readonly flags: ServeFlags; readonly log: ServerLog },
): ServeOptions {
  const settings = config.server()
  const { port, host, hosts, origins, cloudEventSource } = settings
  const { events, aggregates, projections, processes } = config
  const definitions = { events, aggregates, projections, processes }
  return {
    ...{
      port,
      host,
      hosts,
      origins,
      cloudEventSource,
      auth: authOf(loaded, session, settings, flags),
    },
    aggregates: aggregates as unknown as ServeOptions['aggregates'],
    projections: projections as unknown as ServeOptions['projections'],
    mcp: flags.mcp === true ? { definitions, guide: Guide.forModels() } : undefined,
    onRequest: (request) => log.request(request),
    onError: (error, request) => log.failure(error, request),
  }
}

/** Resolves on Ctrl-C, and when the system ends the program. */
function stopAsked(session: Session): Promise<void> {
  const { signal } = session
  return new Promise((resolve) => {
    const end = () => {
      process.off('SIGTERM', end)
      resolve()
    }
    process.once('SIGTERM', end)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

const local = /^(?:localhost|127\.\d+\.\d+\.\d+|::1)$/

/** Who is let in. Throws UsageError where nobody has said it and others could come. */
function authOf(
  { hashApiKey }: Server,
  { io }: Session,
  { apiKeys = {}, jwt, anonymous, host = '127.0.0.1' }: Settings,
  flags: ServeFlags,
): Auth | undefined {
  const configured = Object.entries(apiKeys).map(([name, { key, role }]) => ({
    ...{ name, role, hash: hashApiKey(key) },
  }))
  const given = (flags.apiKeyEnv ?? []).map((text) => {
    const [name = '', role = 'read'] = text.split(':')
    if (!roles.includes(role as Role)) {
      throw new UsageError(`--api-key-env ${text}: the role must be read, write or admin`)
    }
    const key = io.env[name]
    if (key === undefined || key === '') {
      throw new UsageError(`--api-key-env ${text}: the variable ${name} is not set`)
    }
    return { name: name.toLowerCase(), role: role as Role, hash: hashApiKey(key) }
  })
  const keys = [...configured, ...given]
  const tokens = jwtOf(jwt, flags)
  if (keys.length > 0 || tokens !== undefined || anonymous !== undefined) {
    return { keys, jwt: tokens, anonymous }
  }
  if (local.test(host)) return undefined
  throw new UsageError(
    `--host ${host} can be reached by others; say who is let in: --api-key-env NAME, --jwt-issuer URL, or --anonymous read`,
  )
}

/** The issuer whose tokens are taken: that of the flags, or of the configuration. */
function jwtOf(settings: Settings['jwt'], flags: ServeFlags): Auth['jwt'] {
  const { jwtIssuer, jwtAudience, jwksUrl } = flags
  const isGiven = [jwtIssuer, jwtAudience, jwksUrl].some((part) => part !== undefined)
  if (isGiven && (jwtIssuer === undefined || jwtAudience === undefined)) {
    throw new UsageError('--jwt-issuer and --jwt-audience go together, --jwks-url with both')
  }
  if (jwtIssuer !== undefined && jwtAudience !== undefined) {
    return { issuer: jwtIssuer, audience: jwtAudience, jwksUrl }
  }
  if (settings === undefined) return undefined
  const { roleClaim, ...known } = settings
  if (roleClaim === undefined) return known
  return { ...known, roleOf: (claims) => roleIn(claims[roleClaim]) }
}

/** The highest role among the words of a claim. */
function roleIn(claim: unknown): Role | undefined {
  const words = typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : []
  return roles.findLast((role) => words.includes(role))
}
