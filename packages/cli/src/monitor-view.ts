import { etaText, rateText, stateOf } from './lag-rates.ts'
import type { MonitorSample } from './monitor-sample.ts'
import { count } from './numbers.ts'
import { bytesText, durationText } from './quantities.ts'
import { cutTo, harmless, padTo, widthOf } from './text-width.ts'

/** What a frame is drawn for. */
export interface Frame {
  readonly columns: number
  readonly rows: number
  /** How the store is called on the first line, without secrets. */
  readonly title: string
  readonly unicode: boolean
}

const SPARKS = '▁▂▃▄▅▆▇█'
const PLAIN_SPARKS = '_.-=+*#@'
const LABEL_WIDTH = 14

/** A row of heights, the newest at the right. */
export function sparkline(values: readonly number[], width: number, unicode: boolean): string {
  const sparks = unicode ? SPARKS : PLAIN_SPARKS
  const shown = values.slice(-Math.max(0, width))
  const most = Math.max(...shown, 0)
  return shown
    .map((value) => sparks[most === 0 ? 0 : Math.round((value / most) * (sparks.length - 1))])
    .join('')
}

const row = (label: string, text: string): string => `${label.padEnd(LABEL_WIDTH)}${text}`

function readText({ read }: MonitorSample): string {
  if (read === undefined) return ''
  const { p50Ms, p95Ms, maxMs, count: probes } = read
  return `p50 ${p50Ms.toFixed(2)} ms   p95 ${p95Ms.toFixed(2)} ms   max ${maxMs.toFixed(2)} ms   (${probes} probes)`
}

function storageText({ storage }: MonitorSample): string {
  if (storage === undefined) return 'in memory'
  const { bytes, freeBytes, connections } = storage
  const parts = [bytesText(bytes)]
  if (freeBytes !== undefined) parts.push(`${bytesText(freeBytes)} left`)
  if (connections !== undefined) {
    parts.push(`${connections.used} of ${connections.max} connections of the server`)
  }
  return parts.join('   ')
}

function programText({ program }: MonitorSample): string {
  const { cpuShare, residentBytes, heapBytes } = program
  const cpu = cpuShare === undefined ? '' : `${(100 * cpuShare).toFixed(0)} % of a core   `
  return `${cpu}${bytesText(residentBytes)} resident   ${bytesText(heapBytes)} heap`
}

function machineText({ machine: { load1, freeBytes, totalBytes } }: MonitorSample): string {
  return `load ${load1.toFixed(2)}   ${bytesText(freeBytes)} of ${bytesText(totalBytes)} free`
}

const heads = ['SUBSCRIPTION', 'STATE', 'LAG', 'BEHIND', 'RATE', 'ETA'] as const

function consumerRows({ consumers }: MonitorSample): readonly string[] {
  const cells = consumers.map((one) => [
    ...[harmless(one.name), stateOf(one), count(one.lag), durationText(one.behindMs)],
    ...[rateText(one.ratePerSecond), etaText(one.etaMs)],
  ])
  const widths = heads.map((head, i) =>
    Math.max(head.length, ...cells.map((line) => widthOf(line[i] ?? ''))),
  )
  const line = (texts: readonly string[]): string =>
    texts.map((text, i) => padTo(text, widths[i] ?? 0, i < 2 ? 'end' : 'start')).join('  ')
  return [line(heads), ...cells.map(line)].map((text) => text.trimEnd())
}

/** The lines of a frame: never more than the terminal has rows, never wider than it. */
export function frameOf(
  sample: MonitorSample,
  rates: readonly number[],
  { columns, rows, title, unicode }: Frame,
): readonly string[] {
  const { positions, positionsPerSecond = 0, deadLetters, deadLettersMore } = sample
  const { safe, newest } = positions
  const rate = `${count(positionsPerSecond)}/s`
  const behind = safe === newest ? '' : `   readable up to ${count(safe)}`
  const width = Math.min(60, columns - LABEL_WIDTH - rate.length - 3)
  const lines = [
    `${harmless(title)}   ${sample.at.toISOString()}`,
    '',
    row('log', `position ${count(newest)}${behind}`),
    row('appends', `${rate}   ${sparkline(rates, width, unicode)}`),
    row('read', readText(sample)),
    row('dead letters', `${deadLettersMore ? 'more than ' : ''}${count(deadLetters)}`),
    row('storage', storageText(sample)),
    row('monitor', programText(sample)),
    row('machine', machineText(sample)),
    '',
    ...consumerRows(sample),
  ]
  // The last row stays empty: a line in it may make a terminal scroll.
  const room = Math.max(1, rows - 1)
  const fitting =
    lines.length <= room
      ? lines
      : [...lines.slice(0, room - 1), `and ${lines.length - room + 1} lines more; make it higher`]
  return fitting.map((text) => cutTo(text, columns))
}
