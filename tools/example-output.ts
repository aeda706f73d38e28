/** A part of the output that differs from run to run, and the name that stands for it. */
export interface Mask {
  readonly pattern: RegExp
  readonly name: string
}

/**
 * Reads a `masks.txt`: a line for each part of the output that varies, `NAME PATTERN`, where
 * PATTERN is a regular expression. What it matches stands in `expected.txt` as `<NAME>`; of a
 * pattern with groups only what the groups have matched. Blank lines and lines that begin with #
 * are left out.
 */
export function parseMasks(text: string): Mask[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))
  return lines.map((line) => {
    const [, name, pattern] = /^([a-z][a-z-]*) +(.+)$/.exec(line) ?? []
    if (name === undefined || pattern === undefined) {
      throw new Error(`a line of masks.txt is "name pattern", this is not: ${line}`)
    }
    return { name, pattern: new RegExp(pattern, 'dgm') }
  })
}

/** The output with what varies replaced by names. */
export function masked(output: string, masks: readonly Mask[]): string {
  return masks.reduce((text, { pattern, name }) => {
    let result = ''
    let end = 0
    for (const match of text.matchAll(pattern)) {
      const spans = match.indices ?? []
      for (const span of spans.length > 1 ? spans.slice(1) : spans) {
        if (span === undefined) continue
        result += `${text.slice(end, span[0])}<${name}>`
        end = span[1]
      }
    }
    return result + text.slice(end)
  }, output)
}

/** Masks that have nothing to hide: the output changed, or the pattern never was right. */
export function idleMasks(output: string, masks: readonly Mask[]): string[] {
  return masks.filter((mask) => masked(output, [mask]) === output).map(({ name }) => name)
}

/** The first line in which two texts differ, in words; undefined when they do not. */
export function firstDifference(expected: string, actual: string): string | undefined {
  if (expected === actual) return undefined
  const wanted = expected.split('\n')
  const got = actual.split('\n')
  const at = wanted.findIndex((line, index) => line !== got[index])
  const line = at === -1 ? wanted.length : at
  const show = (lines: readonly string[]) => lines[line] ?? '(the end)'
  return `line ${line + 1} should be\n    ${show(wanted)}\n  and is\n    ${show(got)}`
}
