import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ServedProjection, serve } from '@eventuali/server'
import type { EventInput, Store } from 'eventuali'

/** A page that is served, with the store's API beside it. */
export interface WebPage {
  readonly url: string
  [Symbol.asyncDispose](): Promise<void>
}

const mediaTypes: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
}

/**
 * Serves a store's API and beside it the folder `page` of an example, what the pages share, and
 * Chart.js from node_modules. It listens on this machine alone, where everybody may read and
 * nobody may write.
 */
export async function servePage<E extends EventInput>(
  store: Store<E>,
  example: string,
  options: { readonly port: number; readonly projections: readonly ServedProjection[] },
): Promise<WebPage> {
  const start = `/${example}/page/`
  const files = new Map([...filesOf(`${example}/page`), ...filesOf('page')])
  files.set(start, files.get(`${start}index.html`) ?? '')
  const chart = new URL('chart.umd.min.js', import.meta.resolve('chart.js'))
  files.set('/chart.js', fileURLToPath(chart))

  const running = await serve(store, { ...options, auth: { anonymous: 'read' } })
  // The server's app is one of Hono: it takes more routes, and closes them with its own.
  const { app } = running.server
  for (const [path, file] of files) app.get(path, () => fileResponse(file))
  app.get('/', () => new Response(null, { status: 302, headers: { location: start } }))
  return {
    url: `${running.url}${start}`,
    [Symbol.asyncDispose]: () => running.close(),
  }
}

/** A signal for Ctrl-C, and for being told to end by another program. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
  return stop.signal
}

/** The files of a folder, each at the path that it has below `examples`. */
function filesOf(folder: string): [string, string][] {
  const place = join(import.meta.dirname, folder)
  return readdirSync(place).map((name) => [`/${folder}/${name}`, join(place, name)])
}

async function fileResponse(file: string): Promise<Response> {
  return new Response(await readFile(file), {
    headers: {
      'content-type': mediaTypes[extname(file)] ?? 'application/octet-stream',
      // Nothing is loaded from elsewhere, and no script stands in the page itself.
      'content-security-policy':
        "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'",
      'cache-control': 'no-store',
    },
  })
}
