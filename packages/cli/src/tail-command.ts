import { Command } from 'commander'
import { categoryOf, type RecordedEvent, type Store } from 'eventuali'
import { jsonOption, repeated, storeOption, wholeNumber } from './arguments.ts'
import { sayNothingFound } from './nothing-found.ts'
import { meetsAll, whereHelp } from './query-command.ts'
import type { Session } from './session.ts'
import { cutTo, harmless, padTo, widthOf } from './text-width.ts'
import { type Condition, conditions } from './where.ts'

interface TailFlags {
  readonly store?: string
  readonly follow?: boolean
  readonly lines: number
  readonly stream?: string
  readonly category?: readonly string[]
  readonly type?: readonly string[]
  readonly tag?: readonly string[]
  readonly where?: readonly Condition[]
  readonly json?: boolean
}

const LINES_MAX = 100_000
const LINES = 10

const help = `
Examples:
  eventuali tail
  eventuali tail -f --category order --where 'data.total>=100'
  eventuali tail -f -n 0 --json | jq .type

Ctrl-C ends -f, with 0. Nothing is left out between the last events and the first live one.
${whereHelp}`

/** `tail` */
export function tailCommand(session: Session): Command {
  return new Command('tail')
    .description('show the last events, and with -f those that come')
    .addOption(storeOption())
    .option('-f, --follow', 'go on with what is appended, by whatever program, until Ctrl-C')
    .option('-n, --lines <n>', 'so many of the last', wholeNumber(0, LINES_MAX), LINES)
    .option('--stream <name>', 'only this stream')
    .option('--category <name>', 'only streams of this category; may be repeated', repeated)
    .option('--type <name>', 'only events of this type; may be repeated', repeated)
    .option('--tag <tag>', 'only events with this tag; repeated: with all of them', repeated)
    .option('--where <condition>', 'data.total>=30; may be repeated: all of them', conditions)
    .addOption(jsonOption('one line of JSON for each event'))
    .addHelpText('after', help)
    .action((flags: TailFlags) => runTail(session, flags))
}

/** What the store is asked for; a stream's category narrows the log before the stream does. */
function filterOf({ stream, category, type: types, tag: tags }: TailFlags) {
  const categories = stream === undefined ? category : [categoryOf(stream)]
  return { categories, types, tags }
}

function isWanted({ stream, category, where = [] }: TailFlags): (event: RecordedEvent) => boolean {
  return (event) => {
    if (stream !== undefined) {
      if (event.stream !== stream) return false
      if (category !== undefined && !category.includes(categoryOf(stream))) return false
    }
    return meetsAll(event, where)
  }
}

async function runTail(session: Session, flags: TailFlags): Promise<void> {
  const { signal } = session
  await session.withRawStore(flags.store, 'read', async (store) => {
    const { safe } = await store.positions({ signal })
    const last = await lastEvents(store, flags, safe, signal)
    const lines = new Lines(session, flags.json === true)
    lines.fit(last)
    for (const event of last) await lines.show(event)
    if (flags.follow === true) await follow(session, store, flags, safe, lines)
    else if (last.length === 0 && flags.lines > 0 && flags.json !== true) {
      await sayNothingFound(session, store, flags)
    }
  })
}

/** The last events up to a position that are wanted, the oldest first. */
async function lastEvents(
  store: Store,
  flags: TailFlags,
  safe: number,
  signal: AbortSignal,
): Promise<readonly RecordedEvent[]> {
  const found: RecordedEvent[] = []
  if (flags.lines === 0) return found
  const wanted = isWanted(flags)
  const filter = filterOf(flags)
  const events = store.readAll({ ...filter, before: safe + 1, direction: 'backward', signal })
  for await (const event of events) {
    if (wanted(event) && found.push(event) >= flags.lines) break
  }
  return found.reverse()
}

async function follow(
  session: Session,
  store: Store,
  flags: TailFlags,
  after: number,
  lines: Lines,
): Promise<void> {
  const { signal } = session
  const wanted = isWanted(flags)
  const subscription = store.subscribe({ ...filterOf(flags), after })
  const stop = () => void subscription.stop()
  signal.addEventListener('abort', stop, { once: true })
  try {
    if (signal.aborted) return
    for await (const event of subscription) {
      if (wanted(event)) await lines.show(event)
    }
  } catch (error) {
    // Ctrl-C is how one ends it, in the middle of a line or not; a reader that went away says so.
    if (!session.isInterrupted) throw error
  } finally {
    signal.removeEventListener('abort', stop)
    await subscription.stop()
  }
}

const placeOf = ({ stream, version }: RecordedEvent): string => harmless(`${stream}@${version}`)
/** No column is made wider than this for one long name. */
const COLUMN_MAX = 60

/** Events as lines whose columns stand below each other; they grow with what comes. */
class Lines {
  readonly #session: Session
  readonly #isJson: boolean
  #placeWidth = 0
  #typeWidth = 0

  constructor(session: Session, isJson: boolean) {
    this.#session = session
    this.#isJson = isJson
  }

  /** Makes the columns wide enough. */
  fit(events: readonly RecordedEvent[]): void {
    const grown = (width: number, text: string): number =>
      Math.max(width, Math.min(COLUMN_MAX, widthOf(text)))
    for (const event of events) {
      this.#placeWidth = grown(this.#placeWidth, placeOf(event))
      this.#typeWidth = grown(this.#typeWidth, harmless(event.type))
    }
  }

  async show(event: RecordedEvent): Promise<void> {
    const { output, io } = this.#session
    if (this.#isJson) return output.write(`${JSON.stringify(event)}\n`)
    this.fit([event])
    const { position, time, type, data } = event
    const place = padTo(placeOf(event), this.#placeWidth, 'end')
    const kind = padTo(harmless(type), this.#typeWidth, 'end')
    const line = `${String(position).padStart(8)}  ${time.toISOString()}  ${place}  ${kind}  ${harmless(JSON.stringify(data))}`
    const width = io.stdout.isTTY === true ? Math.max(20, io.stdout.columns ?? 80) : undefined
    return output.write(`${width === undefined ? line : cutTo(line, width)}\n`)
  }
}
