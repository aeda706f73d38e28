import type { EventualiServer } from '../../src/index.ts'

type Answer = Response | Promise<Response>

function merge(into: Record<string, unknown>, from: unknown): void {
  if (typeof from !== 'object' || from === null) return
  for (const [key, value] of Object.entries(from)) {
    if (typeof value !== 'object' || value === null) into[key] = value
    else {
      into[key] ??= {}
      merge(into[key] as Record<string, unknown>, value)
    }
  }
}

function depth(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depth))
}

async function bodyOf(request: Request): Promise<unknown> {
  try {
    return JSON.parse(await request.clone().text())
  } catch {
    return undefined
  }
}

type Middleware = (request: Request, next: () => Answer) => Answer

/** Bugs that the harness must find, before what is honest. */
const bugs = {
  'merges bodies': async (request, next) => {
    const body = await bodyOf(request)
    try {
      merge({}, body)
    } catch {
      // What is too deep or cannot be merged is of no interest to this one.
    }
    return next()
  },
  'recurses into bodies': async (request, next) => {
    depth(await bodyOf(request))
    return next()
  },
  'decodes paths as they are': (request, next) => {
    decodeURIComponent(new URL(request.url).pathname)
    return next()
  },
  'waits for nobody': (request, next) => {
    const reject = async () => {
      if (request.url.includes('__proto__')) throw new Error('nobody waits for this')
    }
    void reject()
    return next()
  },
  'stays silent': (request, next) =>
    request.method === 'PATCH' ? new Promise<Response>(() => {}) : next(),
  'searches in circles': (request, next) => {
    const text = decodeURI(new URL(request.url).search.replaceAll('%', '%25'))
    const from = process.cpuUsage()
    for (let n = 0; text.includes('constructor'); n++) {
      const { user, system } = n % 1_000_000 === 0 ? process.cpuUsage(from) : { user: 0, system: 0 }
      if (user + system > 1_200_000) break
    }
    return next()
  },
  'shows its stack': (request, next) =>
    request.headers.has('range')
      ? new Response(new Error('no ranges').stack ?? '', { status: 416 })
      : next(),
  'trusts arguments': async (request, next) => {
    const body = (await bodyOf(request)) as { params: { arguments: { stream: string } } }
    if (request.method === 'POST') body.params.arguments.stream.slice(1)
    return next()
  },
  'ends the process': (request, next) => {
    if (request.headers.has('upgrade')) process.exit(7)
    return next()
  },
} satisfies Readonly<Record<string, Middleware>>

export type WireBug = keyof typeof bugs

/** What each of them is found by. */
export const wireBugs: Readonly<Record<WireBug, RegExp>> = {
  'merges bodies': /a prototype was changed/,
  'recurses into bodies': /status 500/,
  'decodes paths as they are': /status 500/,
  'waits for nobody': /unhandled rejection: .*nobody waits for this/,
  'stays silent': /neither an answer nor an end/,
  'searches in circles': /ms of CPU/,
  'shows its stack': /tells of the inside/,
  'trusts arguments': /status 500/,
  'ends the process': /ended with 7/,
}

/** Puts a bug in front of a server. */
export function withWireBug(server: EventualiServer, bug: WireBug): void {
  const { app } = server
  const honest = app.fetch
  const middleware: Middleware = bugs[bug]
  app.fetch = (request, ...rest) => middleware(request, () => honest(request, ...rest))
}
