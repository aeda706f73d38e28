/**
 * Schema 4: numbers end at 2^53 - 2, where the next one is still exact. Without
 * it events beyond would be acknowledged and then found by no reader of the log.
 */
const SAFE_NUMBERS_V4 = `
ALTER SEQUENCE {schema}.events_position MAXVALUE 9007199254740990;
ALTER TABLE {schema}.streams
  ADD CONSTRAINT streams_version_safe CHECK (version <= 9007199254740990) NOT VALID;
`

/** The statements of migration 4. */
export function safeNumbersV4(schema: string): string {
  return SAFE_NUMBERS_V4.replaceAll('{schema}', schema)
}
