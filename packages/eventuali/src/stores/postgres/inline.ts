import type {
  AppendOutcome,
  AppendRequest,
  CallOptions,
  InlineAccess,
  InlineProjection,
} from '../../ports/index.ts'
import type { Access } from './access.ts'
import { type Row, type Statement, statement } from './connections.ts'
import { fromPlain, toPlain } from './plain-text.ts'

/** Parameters of the append functions, after which the wrapped one takes the list. */
const APPEND_PARAMETERS = { 1: 34, 2: 36 } as const

/** The list, and changes of it, in a transaction or outside. */
export class PostgresInline implements InlineAccess {
  readonly #access: Access
  readonly #list: Statement
  readonly #register: Statement
  readonly #unregister: Statement

  constructor(access: Access) {
    this.#access = access
    const { schema } = access
    this.#list = statement(
      `SELECT name, version, array_to_json(types) FROM ${schema}.inline_projections ORDER BY name`,
    )
    this.#register = statement(
      `SELECT ${schema}.register_inline_v1($1::integer, $2::text, $3::bigint, $4::text[])::text`,
    )
    this.#unregister = statement(
      `SELECT ${schema}.unregister_inline_v1($1::integer, $2::text)::text`,
    )
  }

  async list(options?: CallOptions): Promise<readonly InlineProjection[]> {
    const rows = await this.#access.query(this.#list, [], options)
    return rows.map(([name, version, types]) => ({
      name: fromPlain(name as string),
      version: Number(version),
      types: JSON.parse(types as string),
    }))
  }

  async register({ name, version, types }: InlineProjection): Promise<void> {
    await this.#access.waiting(this.#register, [toPlain(name), version, [...types]])
  }

  async unregister(name: string): Promise<void> {
    await this.#access.waiting(this.#unregister, [toPlain(name)])
  }
}

/** An append inside a transaction; takes the values of the append function and `inlineValue`. */
export function appendWithinText(schema: string, version: 1 | 2): string {
  const count = APPEND_PARAMETERS[version]
  const passed = Array.from({ length: count }, (_, i) => `$${i + 1}`).join(', ')
  return `SELECT status, at_entry, actual, entry_version, positions, missing
    FROM ${schema}.append_within_v${version}($${count + 1}, ${passed})`
}

/** What the request runs inline, as the guard reads it. */
export function inlineValue({ inline = [] }: AppendRequest): string {
  return inline.map(({ name, version }) => `${toPlain(name)}@${version}`).join('\u001f')
}

/** The refusal of the guard, from its JSON text. */
export function projectionMissing(json: string): AppendOutcome {
  const list = JSON.parse(json) as InlineProjection[]
  const projections = list.map((one) => ({ ...one, name: fromPlain(one.name) }))
  return { ok: false, reason: 'projection-missing', projections }
}

/** The same, when the answer of an append inside a transaction tells of it. */
export function missingOf(row: Row | undefined): AppendOutcome | undefined {
  const json = row?.[5]
  return json === null || json === undefined ? undefined : projectionMissing(json)
}
