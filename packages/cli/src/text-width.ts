// Good enough for names and JSON: East Asian wide forms and emoji take two columns, marks none.
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u
const NO_WIDTH = /\p{Mark}|[\u200b-\u200f]/u
const ASCII = /^[\x20-\x7e]*$/
// Control characters and marks that turn the direction of writing: they would act on the terminal.
const ACTING = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu

/** Text that can do nothing to a terminal but be seen. */
export function harmless(text: string): string {
  return text.replace(
    ACTING,
    (found) => `\\u${(found.codePointAt(0) as number).toString(16).padStart(4, '0')}`,
  )
}

function characterWidth(character: string): number {
  if (NO_WIDTH.test(character)) return 0
  return WIDE.test(character) ? 2 : 1
}

/** Columns that a text takes in a terminal. */
export function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length
  let width = 0
  for (const character of text) width += characterWidth(character)
  return width
}

/** The text in at most `width` columns, with `…` where it was cut. */
export function cutTo(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  if (width < 1) return ''
  let cut = ''
  let used = 0
  for (const character of text) {
    used += characterWidth(character)
    if (used > width - 1) break
    cut += character
  }
  return `${cut}…`
}

/** The text filled with spaces to `width` columns, at its end or in front of it. */
export function padTo(text: string, width: number, side: 'start' | 'end'): string {
  const space = ' '.repeat(Math.max(0, width - widthOf(text)))
  return side === 'start' ? space + text : text + space
}
