import type { Deadline } from '../../kernel/index.ts'
import { askedName } from '../../model/index.ts'
import { type Connections, type Statement, statement } from './connections.ts'

/** Ids of event types, registered in short transactions of their own and cached. */
export class TypeNames {
  readonly #connections: Connections
  readonly #ids = new Map<string, number>()
  readonly #names = new Map<string, string>()
  readonly #register: Statement
  readonly #find: Statement
  readonly #all: Statement

  constructor(connections: Connections, schema: string) {
    this.#connections = connections
    this.#register = statement(
      `INSERT INTO ${schema}.types (name) SELECT unnest($1::text[]) ORDER BY 1 ON CONFLICT (name) DO NOTHING`,
    )
    this.#find = statement(`SELECT id, name FROM ${schema}.types WHERE name = ANY ($1::text[])`)
    this.#all = statement(`SELECT id, name FROM ${schema}.types`)
  }

  /** The id of a type that is known here already. */
  idOf(name: string): number | undefined {
    return this.#ids.get(name)
  }

  /** Makes sure that `idOf` knows every one of them, registering the new ones. */
  async ensure(names: Iterable<string>, deadline: Deadline): Promise<void> {
    const unknown = new Set<string>()
    for (const name of names) if (!this.#ids.has(name)) unknown.add(name)
    await this.#connections.read(this.#register, [[...unknown]], deadline, 'appends')
    await this.#load(this.#find, [[...unknown]], deadline)
  }

  /** The ids of those that exist. */
  async find(names: readonly string[], deadline: Deadline): Promise<readonly number[]> {
    const unknown = names.filter((name) => !this.#ids.has(name)).map(askedName)
    if (unknown.length > 0) await this.#load(this.#find, [unknown], deadline)
    return names.flatMap((name) => this.#ids.get(name) ?? [])
  }

  /** The name of an id as a row has it; `refresh` brings in those that others registered. */
  nameOf(id: string): string | undefined {
    return this.#names.get(id)
  }

  async refresh(deadline: Deadline): Promise<void> {
    await this.#load(this.#all, [], deadline)
  }

  async #load(sql: Statement, values: readonly unknown[], deadline: Deadline): Promise<void> {
    for (const [id, name] of await this.#connections.read(sql, values, deadline)) {
      this.#ids.set(name as string, Number(id))
      this.#names.set(id as string, name as string)
    }
  }
}
