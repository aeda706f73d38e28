import type { CallOptions } from './call-options.ts'

/** One numbered step of a store's own tables. Frozen once released. */
export interface SchemaStep {
  readonly version: number
  /** What it brings, in a few words. */
  readonly name: string
  /** What is run to make it. */
  readonly sql: string
  /** What is run to take it back; undefined for one that cannot be. */
  readonly back: string | undefined
}

/**
 * The tables of a store, which it brings up to date by itself when it is opened.
 *
 * @example
 * ```ts
 * import type { SchemaMigrator } from 'eventuali/ports'
 *
 * export async function upToDate(migrator: SchemaMigrator): Promise<number> {
 *   while (await migrator.up()) console.log('now at', await migrator.version())
 *   return migrator.version()
 * }
 * ```
 */
export interface SchemaMigrator {
  readonly adapter: string
  /** All steps that this library knows, in their order. */
  readonly steps: readonly SchemaStep[]
  /** The last step that was made; 0 where there is no store yet. Throws SchemaTooNewError. */
  version(options?: CallOptions): Promise<number>
  /** Why a step that was made cannot be taken back as things stand; undefined when it can. */
  objection(version: number, options?: CallOptions): Promise<string | undefined>
  /** Makes the next step in one transaction under a lock; false when there is none. */
  up(options?: CallOptions): Promise<boolean>
  /**
   * Takes the last step back in one transaction under a lock, with everything that the earlier
   * schema knows left as it is. Throws MigrationIrreversibleError.
   */
  down(options?: CallOptions): Promise<void>
  close(): Promise<void>
}
