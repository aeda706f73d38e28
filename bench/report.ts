import { isDeepStrictEqual } from 'node:util'
import type { Machine } from './machine.ts'
import type { CaseResult, Failure, RatioResult } from './paired.ts'

/** A whole run, as `--json` writes it. */
export interface RunResult {
  readonly at: string
  readonly rounds: number
  readonly machine: Machine
  readonly durability: readonly string[]
  readonly cases: readonly CaseResult[]
  /** Figures that are no ratios, with their goals. */
  readonly facts: readonly Fact[]
  /** What was measured: the commit of the checkout, with a mark when it was changed. */
  readonly commit: string
  /** What else the reader of its figures has to know. */
  readonly note?: string
}

/** A figure beside the ratios: memory, times. */
export interface Fact {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** At most so much. */
  readonly below?: number
  /** Why there is none. */
  readonly failed?: string
}

const short = (value: number): string => value.toFixed(2)

export function rateText(value: number): string {
  if (value >= 10_000) return `${Math.round(value / 1000)} k`
  return value >= 1000 ? `${(value / 1000).toFixed(1)} k` : String(Math.round(value))
}

function verdict({ goal, median }: RatioResult): string {
  if (goal === undefined) return ''
  return median >= goal ? 'reached' : 'missed'
}

const header = ['case', 'compared', 'min', 'median', 'max', 'goal', '', 'events/s, or why not']

function failureRow(result: CaseResult, { name, error }: Failure, isFirst: boolean): string[] {
  const case_ = isFirst ? result.name : ''
  return [case_, name, '', '', '', '', 'failed', error]
}

function rowsOf(result: CaseResult): string[][] {
  const rate = (name: string): string => {
    const found = result.rates.find((r) => r.name === name)
    return found === undefined ? '?' : rateText(found.eventsPerSecond.median)
  }
  const ratios = result.ratios.map((ratio, i) => [
    i === 0 ? result.name : '',
    `${ratio.of} / ${ratio.to}`,
    short(ratio.min),
    short(ratio.median),
    short(ratio.max),
    ratio.goal === undefined ? '' : String(Number(ratio.goal.toFixed(2))),
    verdict(ratio),
    `${rate(ratio.of)} / ${rate(ratio.to)}`,
  ])
  const failed = (result.failed ?? []).map((failure, i) =>
    failureRow(result, failure, ratios.length === 0 && i === 0),
  )
  return [...ratios, ...failed]
}

/** The table for the terminal. */
export function tableText(cases: readonly CaseResult[]): string {
  const rows = [header, ...cases.flatMap(rowsOf)]
  const widths = header.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)))
  const isNumber = (column: number): boolean => column >= 2 && column <= 5
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (isNumber(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd()
  return rows.map(line).join('\n')
}

function factText({ name, value, unit, below, failed }: Fact): string {
  if (failed !== undefined) return `${name}: failed, ${failed}`
  const goal =
    below === undefined ? '' : ` (goal: below ${below}; ${value < below ? 'reached' : 'missed'})`
  return `${name}: ${value >= 100 ? Math.round(value) : value.toFixed(1)} ${unit}${goal}`
}

export function factsText(facts: readonly Fact[]): string {
  return facts.map(factText).join('\n')
}

/** Where and under which settings, in lines. */
export function machineText(machine: Machine, durability: readonly string[]): string {
  const { cores, cpu, memoryGiB, kernel, disk, flushesPerSecond } = machine
  return [
    `machine    ${cores} cores, ${cpu}, ${memoryGiB} GiB, ${kernel}`,
    `disk       ${disk}; ${flushesPerSecond.join(' and ')} flushes of 4 KiB a second (start and end)`,
    `versions   Node ${machine.node}, SQLite ${machine.sqlite} (node:sqlite) and ${machine.betterSqlite} (better-sqlite3), PostgreSQL ${machine.postgres}`,
    ...durability.map((line, i) => `${i === 0 ? 'durability' : '          '} ${line}`),
  ].join('\n')
}

/** The same table for the documentation. */
export function tableMarkdown(cases: readonly CaseResult[]): string {
  const cells = (row: readonly string[]): string => `| ${row.join(' | ')} |`
  const alignment = '|---|---|--:|--:|--:|--:|---|---|'
  return [cells(header), alignment, ...cases.flatMap(rowsOf).map(cells)].join('\n')
}

/** What each contender does, each text once. */
export function legendMarkdown(cases: readonly CaseResult[]): string {
  const seen = new Map<string, string[]>()
  for (const { name, rates, failed = [] } of cases) {
    const said = [...rates, ...failed].map((rate) => `*${rate.name}*: ${rate.what}`)
    const same = [...seen].find(([, lines]) => isDeepStrictEqual(lines, said))
    if (same === undefined) seen.set(name, said)
  }
  return [...seen].map(([name, lines]) => `- ${name}: ${lines.join('; ')}.`).join('\n')
}

/** What missed its goal: case, ratio and figures. */
export function missed(cases: readonly CaseResult[]): readonly string[] {
  return cases.flatMap(({ name, ratios }) =>
    ratios
      .filter((ratio) => ratio.goal !== undefined && ratio.median < ratio.goal)
      .map(
        (r) =>
          `${name}, ${r.of} / ${r.to}: ${short(r.median)} instead of ${Number((r.goal ?? 0).toFixed(2))}`,
      ),
  )
}
