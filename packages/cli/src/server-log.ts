import type { AnsweredRequest } from '@eventuali/server'
import { type Config, isEventualiError } from 'eventuali'
import type { Io } from './io.ts'

type LogSettings = Config['log']
type Level = Exclude<NonNullable<LogSettings['level']>, 'silent'>
/** What stands in a line, beside the time, the level and the sentence. */
type Fields = Readonly<Record<string, string | number | undefined>>

const ranks: Readonly<Record<Level | 'silent', number>> = {
  ...{ silent: 0, error: 1, warn: 2, info: 3, debug: 4 },
}
/** Asked for all the time by machines, and of no interest unless something is wrong. */
const probes = new Set(['/health/live', '/health/ready', '/health/detail', '/metrics'])
/** What waits for a reader of standard error; lines beyond it are counted, not kept. */
const WAITING_BYTES_MAX: number = 1024 * 1024

/** A line of a log must stay one, whatever was asked for. */
const oneLine = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not get out.
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')

const masked = (text: string): string => text.replace(/(\/\/[^\s/:@]*:)[^\s/@]*@/g, '$1***@')

/**
 * What a server writes about itself, on standard error: as sentences, or a line of JSON each. It
 * knows routes, statuses and names of callers, and is never told paths, bodies or keys.
 */
export class ServerLog {
  readonly #stream: Io['stderr']
  readonly #rank: number
  readonly #isJson: boolean
  readonly #now: () => Date
  #lost = 0

  constructor({ stderr }: Io, settings: LogSettings, now: () => Date = () => new Date()) {
    this.#stream = stderr
    this.#rank = ranks[settings.level ?? 'info']
    this.#isJson = settings.format === 'json'
    this.#now = now
  }

  write(level: Level, text: string, fields: Fields = {}): void {
    if (ranks[level] > this.#rank) return
    if (this.#stream.writableLength > WAITING_BYTES_MAX) {
      this.#lost++
      return
    }
    if (this.#lost > 0) {
      const lost = this.#lost
      this.#lost = 0
      this.write('warn', `${lost} lines of this log were lost: nobody has read them in time`)
    }
    const time = this.#now().toISOString()
    const known = Object.entries(fields).filter(([, value]) => value !== undefined)
    this.#stream.write(
      this.#isJson
        ? `${JSON.stringify({ time, level, message: text, ...Object.fromEntries(known) })}\n`
        : `${[time, level, oneLine(text), ...known.map(inText)].join(' ')}\n`,
    )
  }

  /** One answered request: failures of the server are errors, refusals of somebody warnings. */
  request({ id, method, route, status, durationMs, principal }: AnsweredRequest): void {
    const refused = [401, 403, 429, 503].includes(status)
    const level = status >= 500 && status !== 503 ? 'error' : refused ? 'warn' : 'info'
    const ms = Math.round(durationMs * 10) / 10
    const fields = { method, route, status, ms, principal, request: id }
    this.write(level === 'info' && probes.has(route) ? 'debug' : level, 'request', fields)
  }

  /** What the server itself did wrong; where it comes from is told at the level debug. */
  failure(error: unknown, request: string): void {
    // Of "GET /path id" only the id: the path may name people.
    const id = request.split(' ').at(-1)
    const code = isEventualiError(error) ? error.code : (error as { code?: unknown })?.code
    const message = masked(error instanceof Error ? error.message : String(error))
    const stack = this.#rank >= ranks.debug && error instanceof Error ? error.stack : undefined
    this.write('error', message, {
      code: typeof code === 'string' ? code : undefined,
      request: id,
      stack: stack === undefined ? undefined : masked(stack),
    })
  }
}

function inText([name, value]: readonly [string, string | number | undefined]): string {
  const text = oneLine(String(value))
  return `${name}=${/[\s"=]/.test(text) ? JSON.stringify(text) : text}`
}
