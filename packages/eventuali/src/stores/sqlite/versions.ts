/** Each line of SQLite with the first release that has no WAL-reset bug. */
const mended: Readonly<Record<string, number>> = { '3.44': 6, '3.50': 7, '3.51': 3 }

/** Whether this SQLite keeps every commit when several connections share a file in WAL mode. */
export function isSafeSqlite(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  if (major !== 3) return major > 3
  const first = mended[`3.${minor}`]
  return first === undefined ? minor > 51 : patch >= first
}
