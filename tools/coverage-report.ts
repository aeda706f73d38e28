import type { Exclusion } from './coverage-exclusions.ts'

interface Place {
  readonly line?: number
  readonly column?: number
}

/** What the coverage reporter writes of one file (the format of istanbul). */
export interface FileCoverage {
  readonly path: string
  readonly branchMap: Readonly<
    Record<string, { readonly type: string; readonly loc: { readonly start: Place } }>
  >
  readonly b: Readonly<Record<string, readonly number[]>>
}

/** A place where the program can go more than one way, and how many of the ways no test took. */
export interface Gap {
  readonly file: string
  readonly line: number
  readonly type: string
  readonly missed: number
}

export interface FolderCoverage {
  readonly folder: string
  readonly branches: number
  readonly taken: number
  /** Not taken, and on the list of exclusions. */
  readonly excluded: number
  readonly percent: number
}

export interface CoverageReport {
  readonly folders: readonly FolderCoverage[]
  readonly gaps: readonly Gap[]
  /** What is wrong with the list of exclusions. */
  readonly complaints: readonly string[]
}

/** The lines of an exclusion in its file; a complaint when there are none, or more than one. */
export function linesOf(exclusion: Exclusion, text: string | undefined): [number, number] | string {
  const { file, code, reason } = exclusion
  if (reason.trim().length < 20) return `${file}: an exclusion without a reason: ${code}`
  if (text === undefined) return `${file}: an exclusion for a file that is not there`
  const at = text.indexOf(code)
  if (at < 0) return `${file}: an exclusion whose code is not there: ${code}`
  if (text.indexOf(code, at + 1) >= 0) return `${file}: an exclusion that stands twice: ${code}`
  const first = text.slice(0, at).split('\n').length
  return [first, first + code.split('\n').length - 1]
}

/** Paths and percentages; `files` by their path from the root. */
export function coverageReport(
  files: ReadonlyMap<string, FileCoverage>,
  folders: readonly string[],
  exclusions: readonly Exclusion[],
  textOf: (file: string) => string | undefined,
): CoverageReport {
  const complaints: string[] = []
  const ranges: { exclusion: Exclusion; first: number; last: number; used: boolean }[] = []
  for (const exclusion of exclusions) {
    const lines = linesOf(exclusion, textOf(exclusion.file))
    if (typeof lines === 'string') complaints.push(lines)
    else ranges.push({ exclusion, first: lines[0], last: lines[1], used: false })
  }
  const gaps: Gap[] = []
  const counted = folders.map((folder) => {
    const sum = { branches: 0, taken: 0, excluded: 0 }
    for (const [file, coverage] of files) {
      if (!file.startsWith(`${folder}/`)) continue
      for (const [id, { type, loc }] of Object.entries(coverage.branchMap)) {
        const ways = coverage.b[id] ?? []
        const missed = ways.filter((count) => count === 0).length
        const line = loc.start.line ?? 0
        sum.branches += ways.length
        sum.taken += ways.length - missed
        if (missed === 0) continue
        const range = ranges.find(
          ({ exclusion, first, last }) => exclusion.file === file && first <= line && line <= last,
        )
        if (range === undefined) gaps.push({ file, line, type, missed })
        else {
          range.used = true
          sum.excluded += missed
        }
      }
    }
    const wanted = sum.branches - sum.excluded
    return { folder, ...sum, percent: wanted === 0 ? 100 : (100 * sum.taken) / wanted }
  })
  for (const { exclusion, used } of ranges) {
    if (!used) complaints.push(`${exclusion.file}: every branch is taken at: ${exclusion.code}`)
  }
  return { folders: counted, gaps, complaints }
}
