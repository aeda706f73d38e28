import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { DomainError, isEventualiError, type Store, ValidationError, withContext } from 'eventuali'
import { z } from 'zod'
import { board, Task } from './task.ts'

const BODY_BYTES_MAX = 64 * 1024
const READ_WAIT_MS = 5000

const addInput = z.object({ title: z.string(), owner: z.string() })
const assignInput = z.object({ owner: z.string() })

/** What a request is answered with; `position` is where in the log its effect is. */
interface Answer {
  readonly status: number
  readonly body: unknown
  readonly position?: number | undefined
}

/** Commands by POST, queries by GET; they share nothing but the log. */
export function taskServer(store: Store): Server {
  return createServer((request, response) => {
    void answer(store, request)
      .catch(answerToError)
      .then((what) => send(response, what))
  })
}

async function answer(store: Store, request: IncomingMessage): Promise<Answer> {
  const url = new URL(request.url ?? '/', 'http://localhost')
  if (request.method === 'POST') {
    const [, collection, id, command] = url.pathname.split('/')
    if (collection !== 'tasks' || id === undefined || command === undefined) return notFound
    // Who asked, and for what request, is in the metadata of every event that comes of it.
    const actor = String(request.headers['x-user'] ?? 'nobody')
    return await withContext({ actor }, () => runCommand(store, request, id, command))
  }
  if (request.method === 'GET') return await query(store, request, url)
  return notFound
}

async function runCommand(
  store: Store,
  request: IncomingMessage,
  id: string,
  command: string,
): Promise<Answer> {
  const tasks = store.aggregate(Task)
  const body = await readJson(request)
  // A client that did not get its answer sends the same key again.
  const key = request.headers['idempotency-key']
  const options = typeof key === 'string' ? { commandId: key } : {}
  const run = () => {
    if (command === 'add') return tasks.execute(id, 'add', addInput.parse(body), options)
    if (command === 'assign') return tasks.execute(id, 'assign', assignInput.parse(body), options)
    if (command === 'finish') return tasks.execute(id, 'finish', undefined, options)
    return undefined
  }
  const result = await run()
  if (result === undefined) return notFound
  const { version, position, duplicate } = result
  return { status: duplicate ? 200 : 201, body: { version }, position }
}

async function query(store: Store, request: IncomingMessage, url: URL): Promise<Answer> {
  // Read your own writes: a client that says what it has seen waits until the model has, too.
  const seen = Number(request.headers['x-seen'] ?? 0)
  if (seen > 0) await store.projected(board.name, seen, { timeoutMs: READ_WAIT_MS })
  if (url.pathname === '/tasks') {
    const owner = url.searchParams.get('owner')
    const where = { done: false, ...(owner !== null && { owner }) }
    const found = await store.collection(board, 'tasks').find({ where, limit: 100 })
    return { status: 200, body: found }
  }
  const [, collection, name = ''] = url.pathname.split('/')
  if (collection !== 'owners') return notFound
  const counts = await store.collection(board, 'owners').get(name)
  return counts === undefined ? notFound : { status: 200, body: counts }
}

const notFound: Answer = { status: 404, body: { error: 'there is no such thing' } }

function answerToError(error: unknown): Answer {
  if (error instanceof z.ZodError || error instanceof ValidationError) {
    const [first] = error.issues
    return { status: 400, body: { error: `${first?.path}: ${first?.message}` } }
  }
  if (error instanceof SyntaxError) return { status: 400, body: { error: 'this is no JSON' } }
  if (error instanceof DomainError) return { status: 422, body: { error: error.reason } }
  const status = isEventualiError(error) && error.retryable ? 503 : 500
  return { status, body: { error: isEventualiError(error) ? error.code : 'something is broken' } }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request) {
    text += chunk
    if (text.length > BODY_BYTES_MAX) throw new SyntaxError('too long')
  }
  return text === '' ? {} : JSON.parse(text)
}

function send(response: ServerResponse, { status, body, position }: Answer): void {
  if (position !== undefined) response.setHeader('x-position', position)
  response.setHeader('content-type', 'application/json')
  response.writeHead(status).end(JSON.stringify(body))
}
