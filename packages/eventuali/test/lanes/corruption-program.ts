import {
  copyFileSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { isEventualiError, seededRandom } from '../../src/kernel/index.ts'
import { openStore, type Store, type VerifyProblem } from '../../src/store/index.ts'
import { flipInKeptState, flipInRow, placedColumns } from '../harness/damage.ts'
import { programInput, runProgram, tell, writeLine } from '../harness/program.ts'
import { sumsOf } from '../harness/sums.ts'

/** Damages copies of a log and looks at what the library says to it. */
export interface CorruptionInput {
  /** Holds `log.db`, and `log.db-wal` with commits that are only there. */
  readonly template: string
  readonly work: string
  readonly seed: number
  readonly plan: readonly Damage[]
  /** Planted bugs, which the test must find. */
  readonly mutant?: 'no-checksum' | 'skips-a-page' | undefined
}

/**
 * `row`: a bit of a column. `header`: a bit of what says which types and lengths a row's columns
 * have. `page`: a bit of the file. `log`: a bit of the write-ahead log.
 * `cut`: the file ends early. `log-cut`: the write-ahead log does. `kept`: a bit of a kept state.
 */
export type Damage = 'row' | 'header' | 'page' | 'log' | 'cut' | 'log-cut' | 'kept'

/** What a run of damages came to. */
export interface CorruptionResult {
  readonly found: number
  /** The log is as it was, and `verify` has nothing to say. */
  readonly harmless: number
  /** Only the store's own note of when it recorded an event differs, which no checksum covers. */
  readonly recordedAt: number
  /** The write-ahead log ends before the damage: the commits behind it are gone, none in part. */
  readonly prefixes: number
  readonly wrong: readonly string[]
}

const FRAME = 24 + 4096
const PAGE = 4096
/** Bytes of a row before its id, about: the lengths and types of all columns, two keys. */
const HEADER = 26

interface Seen {
  /** An event as text, by its position. */
  readonly events: ReadonlyMap<number, string>
  readonly streams: string
}

const input = programInput<CorruptionInput>()
const random = seededRandom(input.seed)
const below = (count: number): number => Math.floor(random.next() * count)
const file = join(input.work, 'log.db')

function restore(withLog: boolean): void {
  for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true })
  const source = join(input.template, withLog ? 'with-log.db' : 'log.db')
  copyFileSync(source, file)
  if (withLog) copyFileSync(`${source}-wal`, `${file}-wal`)
}

async function look(store: Store): Promise<Seen> {
  const events = new Map<number, string>()
  for await (const event of store.readAll({ includeArchived: true })) {
    events.set(event.position, JSON.stringify(event))
  }
  const streams = JSON.stringify(await store.streams().toArray())
  return { events, streams }
}

function flip(path: string): string {
  const bytes = readFileSync(path)
  const at = below(bytes.length)
  bytes[at] = (bytes[at] as number) ^ (1 << below(8))
  writeFileSync(path, bytes)
  return `byte ${at}`
}

/** In the bytes before an event's id, where SQLite says what the columns of its row are. */
function flipInHeader(): string {
  const database = new DatabaseSync(file)
  const row = database.prepare('SELECT id FROM eventuali_events ORDER BY random() LIMIT 1').get()
  database.close()
  const bytes = readFileSync(file)
  const at = bytes.indexOf(String(row?.id)) - 1 - below(HEADER)
  bytes[at] = (bytes[at] as number) ^ (1 << below(8))
  writeFileSync(file, bytes)
  return `of ${row?.id}, byte ${at}`
}

/** At an edge of a page or frame, or a byte beside it, or anywhere. */
function cut(path: string, unit: number, head: number): string {
  const { size } = statSync(path)
  const edge = head + unit * below(Math.floor((size - head) / unit) + 1)
  const at = [edge, edge + 1, edge - 1, edge + 24, below(size)][below(5)] as number
  // An empty file is one that is yet to be filled, and SQLite counts a single byte as none.
  const end = Math.min(size - 1, Math.max(path.endsWith('-wal') ? 0 : 2, at))
  truncateSync(path, end)
  return `at ${end}`
}

interface Done {
  readonly what: string
  /** Where it must be found. */
  readonly position?: number
}

function damage(kind: Damage): Done | undefined {
  const onLog = kind === 'log' || kind === 'log-cut'
  restore(onLog)
  switch (kind) {
    case 'row': {
      const flipped = flipInRow(file, random)
      if (flipped === undefined) return undefined
      const what = `${flipped.column}@${flipped.position}`
      // Its place in a stream is under no checksum: other rules find that, and name the stream.
      return placedColumns.has(flipped.column) ? { what, position: flipped.position } : { what }
    }
    case 'header':
      return { what: flipInHeader() }
    case 'page':
      return { what: flip(file) }
    case 'log':
      return { what: flip(`${file}-wal`) }
    case 'cut':
      return { what: cut(file, PAGE, 0) }
    case 'log-cut':
      return { what: cut(`${file}-wal`, FRAME, 32) }
    case 'kept': {
      const key = flipInKeptState(file, random)
      return key === undefined ? undefined : { what: JSON.stringify(key) }
    }
  }
}

/** As a program would see it that skips a part of the work. */
function asSeenBy(problems: readonly VerifyProblem[]): readonly VerifyProblem[] {
  if (input.mutant === 'no-checksum') {
    return problems.filter(({ reason }) => !reason.includes('checksum'))
  }
  if (input.mutant === 'skips-a-page') {
    return problems.filter(({ position = 0 }) => position <= 100 || position > 150)
  }
  return problems
}

interface Looked {
  readonly seen: Seen | undefined
  readonly problems: readonly VerifyProblem[]
  readonly failure: unknown
}

async function lookAt(): Promise<Looked> {
  let seen: Seen | undefined
  let problems: readonly VerifyProblem[] = []
  let failure: unknown
  try {
    const store = await openStore(`sqlite:${file}`, { profile: 'relaxed' })
    try {
      problems = asSeenBy((await store.verify()).problems)
      seen = await look(store)
    } finally {
      await store.close()
    }
  } catch (error) {
    failure = error
  }
  return { seen, problems, failure }
}

function isPrefix(seen: Seen, original: Seen): boolean {
  const known = [...original.events].slice(0, seen.events.size)
  return known.every(([position, text]) => seen.events.get(position) === text)
}

/** Events without what no checksum covers. */
function covered(seen: Seen): Seen {
  const events = [...seen.events].map(([position, text]): [number, string] => {
    const { recordedAt: _, ...rest } = JSON.parse(text) as { recordedAt: string }
    return [position, JSON.stringify(rest)]
  })
  return { ...seen, events: new Map(events) }
}

/** Loads every aggregate with the kept states that are there. */
async function states(isKept: boolean): Promise<string> {
  const snapshots = isKept ? { every: 5, checkRate: 0 } : undefined
  const store = await openStore(`sqlite:${file}`, { profile: 'relaxed', snapshots })
  try {
    const sums = store.aggregate(sumsOf((n) => n))
    const loaded: unknown[] = []
    // The first load asks whether it may believe what is kept, the second one uses it.
    for (const id of ['1', '2', '3', '1', '2', '3']) {
      loaded.push(await sums.load(id))
      if (isKept) await store.snapshots.settled()
    }
    return JSON.stringify(loaded)
  } finally {
    await store.close()
  }
}

function changedIn(seen: Seen, original: Seen): number[] {
  const positions = [...original.events.keys()]
  return positions.filter((at) => seen.events.get(at) !== original.events.get(at))
}

async function run(): Promise<CorruptionResult> {
  restore(false)
  const whole = (await lookAt()).seen as Seen
  restore(true)
  const withLog = (await lookAt()).seen as Seen
  restore(false)
  const folded = await states(false)
  const wrong: string[] = []
  const counts = { found: 0, harmless: 0, recordedAt: 0, prefixes: 0 }
  for (const kind of input.plan) {
    let done: Done | undefined
    while (done === undefined) done = damage(kind)
    const { what, position } = done
    // What was under way can be read outside even when this never ends.
    writeLine(`${kind} ${what}`)
    const complain = (reason: string) => wrong.push(`${kind} ${what}: ${reason}`)
    if (kind === 'kept') {
      const loaded = await states(true).catch((error: unknown) => String(error))
      if (loaded === folded) counts.harmless++
      else complain(`a load gives ${loaded.slice(0, 200)}`)
      continue
    }
    const { seen, problems, failure } = await lookAt()
    const original = kind.startsWith('log') ? withLog : whole
    if (failure !== undefined && !isEventualiError(failure)) {
      complain(`no error of the library: ${String(failure)}`)
      continue
    }
    const isFound = failure !== undefined || problems.length > 0
    if (isFound) {
      counts.found++
      // A row's damage has a place; what a page has lost may have none.
      const named = new Set(problems.map((problem) => problem.position))
      if (position !== undefined && failure === undefined && !named.has(position)) {
        complain(`found, but no problem names ${position}: ${problems[0]?.reason}`)
      }
      continue
    }
    const now = seen as Seen
    const changed = changedIn(now, original)
    if (changed.length === 0 && now.streams === original.streams) counts.harmless++
    else if (kind.startsWith('log') && isPrefix(now, original)) counts.prefixes++
    else if (changedIn(covered(now), covered(original)).length === 0) counts.recordedAt++
    else complain(`nothing found, and ${changed.length} events differ, such as ${changed[0]}`)
  }
  return { ...counts, wrong }
}

runProgram(async () => {
  if (!existsSync(input.template)) throw new Error('no template')
  tell('result', await run())
})
