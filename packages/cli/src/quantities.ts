import { InvalidArgumentError } from 'commander'

const SECOND_MS = 1000
const MINUTE_MS: number = 60 * SECOND_MS
const HOUR_MS: number = 60 * MINUTE_MS
const DAY_MS: number = 24 * HOUR_MS

const unitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: SECOND_MS,
  m: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS,
}
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/

/** Reads `250ms`, `1.5s`, `5m`, `2h`, `1d`; in milliseconds, within bounds. */
export function duration(leastMs: number, mostMs: number): (text: string) => number {
  return (text) => {
    const [, amount, unit = ''] = DURATION.exec(text) ?? []
    const ms = Number(amount) * (unitsMs[unit] ?? Number.NaN)
    if (ms >= leastMs && ms <= mostMs) return ms
    throw new InvalidArgumentError(
      `It must be a time such as 250ms, 5s, 2m, 1h or 1d, from ${durationText(leastMs)} to ${durationText(mostMs)}.`,
    )
  }
}

const bytesByUnit: Readonly<Record<string, number>> = {
  '': 1,
  k: 1000,
  m: 1000 ** 2,
  g: 1000 ** 3,
  t: 1000 ** 4,
  ki: 1024,
  mi: 1024 ** 2,
  gi: 1024 ** 3,
  ti: 1024 ** 4,
}
const SIZE = /^(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?$/i

/** Reads `500MB`, `1GiB`, `4096`; in bytes. */
export function size(text: string): number {
  const [, amount, unit = ''] = SIZE.exec(text) ?? []
  const bytes = Math.round(Number(amount) * (bytesByUnit[unit.toLowerCase()] ?? Number.NaN))
  if (Number.isSafeInteger(bytes)) return bytes
  throw new InvalidArgumentError('It must be a size such as 500MB, 1GiB or 4096 (bytes).')
}

/** 950 as `950 ms`, 90,000 as `1.5 min`: the unit in which people would say it. */
export function durationText(ms: number): string {
  const steps: readonly (readonly [number, number, string])[] = [
    [SECOND_MS, 1, 'ms'],
    [MINUTE_MS, SECOND_MS, 's'],
    [HOUR_MS, MINUTE_MS, 'min'],
    [2 * DAY_MS, HOUR_MS, 'h'],
    [Number.POSITIVE_INFINITY, DAY_MS, 'd'],
  ]
  const [, unitMs, unit] = steps.find(([below]) => ms < below) ?? [0, DAY_MS, 'd']
  const value = ms / unitMs
  return `${value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)} ${unit}`
}

/** Bytes with the unit that suits them. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}
