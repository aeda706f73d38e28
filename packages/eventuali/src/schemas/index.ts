export { type SchemaChange, schemaChanges } from './changes.ts'
export type {
  Compatibility,
  SchemaEvidence,
  SchemaProblem,
  SchemaProblemKind,
  StoredSchema,
} from './compatibility.ts'
export type { JsonSchema } from './json-schema.ts'
export type { RegisteredSchema } from './ledger.ts'
export { type Narrowing, narrowings } from './narrowing.ts'
export {
  checkSchemas,
  type SchemaCheckOptions,
  type SchemaInfo,
  type SchemaListOptions,
  type SchemaOptions,
  type SchemaReport,
  type SchemaSource,
  Schemas,
} from './schemas.ts'
