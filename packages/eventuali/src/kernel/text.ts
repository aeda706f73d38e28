/**
 * Below, at or above 0, by code point: the order of databases that compare bytes of UTF-8. The
 * `<` of JavaScript goes by UTF-16 units, which differs for characters beyond the first plane.
 */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (x === y) continue
    // Surrogates stand for code points above every single unit.
    return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1
  }
  return a.length - b.length
}

/** A value as an error shows it, whatever it is; what JSON does not carry is named by its type. */
export function shownText(value: unknown): string {
  try {
    const text = JSON.stringify(value)
    return text === undefined ? typeof value : text.slice(0, 200)
  } catch {
    return typeof value
  }
}

const MASK = '***'
const REFERENCE = /^\$\{(?:env|file):[^{}]+\}$/
/**
 * `user:password@` of urls, wherever they stand in the text. The last `@` ends the password, also
 * one with a `/` that nobody encoded; a port with its path is no password. A reference may hold
 * spaces.
 */
const PASSWORD =
  /([a-z][a-z0-9+.-]*:\/\/[^\s:/?#@]*):(?!\d+[/?#])((?:\$\{[^{}]*\}|(?!\$\{[^{}]*\})\S)*)@/gi
/** Parameters of urls that say no less. */
const PARAMETER = /([?&][^=&\s]*(?:password|secret|token|key)[^=&\s]*=)([^&#\s]+)/gi

/** Text in which the passwords of urls are `***`; references to secrets stay, they tell nothing. */
export function maskedText(text: string): string {
  const mask = (_all: string, before: string, secret: string) =>
    `${before}${REFERENCE.test(secret) ? secret : MASK}`
  return text
    .replace(PASSWORD, (_all, before, secret) => `${mask('', `${before}:`, secret)}@`)
    .replace(PARAMETER, mask)
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff
}
