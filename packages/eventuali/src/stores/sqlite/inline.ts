import type {
  AppendOutcome,
  AppendRequest,
  CallOptions,
  InlineAccess,
  InlineProjection,
} from '../../ports/index.ts'
import type { WriteAccess } from './access.ts'
import type { Session } from './session.ts'

const MESSAGE = 'EVENTUALI_INLINE'

const list = 'SELECT name, version, types FROM eventuali_inline ORDER BY name'
const put = `INSERT INTO eventuali_inline (name, version, types) VALUES (?, ?, ?)
  ON CONFLICT (name) DO UPDATE SET version = excluded.version, types = excluded.types`
const remove = 'DELETE FROM eventuali_inline WHERE name = ?'
const putType = 'INSERT OR IGNORE INTO eventuali_inline_types (type_id, name) VALUES (?, ?)'
const removeTypes = 'DELETE FROM eventuali_inline_types WHERE name = ?'
const any = 'SELECT 1 FROM eventuali_inline LIMIT 1'
const admit = 'INSERT OR IGNORE INTO eventuali_inline_admitted (name, version) VALUES (?, ?)'
const dismiss = 'DELETE FROM eventuali_inline_admitted'
/** Only there while a projection is registered, so that it costs nothing otherwise. */
const guard = `CREATE TRIGGER IF NOT EXISTS eventuali_inline_guard BEFORE INSERT ON eventuali_events
  WHEN EXISTS (SELECT 1 FROM eventuali_inline_types t JOIN eventuali_inline p ON p.name = t.name
    WHERE t.type_id = NEW.type_id AND NOT EXISTS (SELECT 1 FROM eventuali_inline_admitted a
      WHERE a.name = p.name AND a.version = p.version))
  BEGIN SELECT RAISE(ABORT, '${MESSAGE}'); END`
const unguard = 'DROP TRIGGER IF EXISTS eventuali_inline_guard'

/** The projections that every writer must run. */
export function inlineOf(session: Session): readonly InlineProjection[] {
  return session
    .prepare(list)
    .all()
    .map(([name, version, types]) => ({
      name: name as string,
      version: version as number,
      types: JSON.parse(types as string),
    }))
}

function register(session: Session, { name, version, types }: InlineProjection): void {
  session.prepare(put).run(name, version, JSON.stringify(types))
  session.prepare(removeTypes).run(name)
  for (const type of types) {
    // An id of its own for a type that no event has yet.
    const found = session.sql.typeId.get(type)?.[0]
    const id = Number(found ?? session.sql.insertType.run(type).lastInsertRowid)
    session.prepare(putType).run(id, name)
  }
  session.connection.exec(guard)
}

function unregister(session: Session, name: string): void {
  session.prepare(remove).run(name)
  session.prepare(removeTypes).run(name)
  if (session.prepare(any).get() === undefined) session.connection.exec(unguard)
}

/** Tells the guard which projections the caller runs; call `dismissInline` after the append. */
export function admitInline(session: Session, inline: AppendRequest['inline']): void {
  for (const { name, version } of inline ?? []) session.prepare(admit).run(name, version)
}

/** Takes back what `admitInline` told, so that it counts for one append only. */
export function dismissInline(session: Session, inline: AppendRequest['inline']): void {
  if (inline !== undefined && inline.length > 0) session.prepare(dismiss).run()
}

/** Whether the guard refused an event. */
export function isInlineRefusal(error: unknown): boolean {
  return error instanceof Error && error.message.includes(MESSAGE)
}

/** The refusal of a request whose event the guard refused. */
export function inlineRefusal(
  session: Session,
  { entries, inline = [] }: InlineRequest,
): Extract<AppendOutcome, { reason: 'projection-missing' }> {
  const types = new Set(entries.flatMap((entry) => entry.events.map((event) => event.type)))
  const projections = inlineOf(session).filter(
    (projection) =>
      projection.types.some((type) => types.has(type)) &&
      !inline.some((one) => one.name === projection.name && one.version === projection.version),
  )
  return { ok: false, reason: 'projection-missing', projections }
}

interface InlineRequest {
  readonly entries: readonly { readonly events: readonly { readonly type: string }[] }[]
  readonly inline?: AppendRequest['inline']
}

/** The list in a transaction. */
export class SqliteInline implements InlineAccess {
  readonly #access: WriteAccess

  constructor(access: WriteAccess) {
    this.#access = access
  }

  list(): Promise<readonly InlineProjection[]> {
    return this.#access.run(inlineOf, noBounds)
  }

  register(projection: InlineProjection): Promise<void> {
    return this.#access.write('register', (session) => register(session, projection), noBounds)
  }

  unregister(name: string): Promise<void> {
    return this.#access.write('unregister', (session) => unregister(session, name), noBounds)
  }
}

const noBounds: CallOptions = {}
