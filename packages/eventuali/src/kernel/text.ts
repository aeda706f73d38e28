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

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff
}
