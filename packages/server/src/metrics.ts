import type { Clock } from 'eventuali'

/** Upper bounds of the latency's buckets, in seconds. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
/** Combinations of route, method and status; those of the document are far fewer. */
const SERIES_MAX = 2000

interface Series {
  readonly labels: string
  count: number
  sum: number
  readonly counts: number[]
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

/** The labels of a line, in braces. */
export function labelsOf(labels: Readonly<Record<string, string | number>>): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`)
  return parts.join(',')
}

/** A measurement as of now, for the page of metrics. */
export interface Gauge {
  readonly name: string
  readonly help: string
  readonly type: 'gauge' | 'counter'
  readonly values: readonly { readonly labels?: Record<string, string>; readonly value: number }[]
}

/** Counts requests, and says so in Prometheus' text format. */
export class Metrics {
  readonly #requests = new Map<string, Series>()
  readonly #counters = new Map<string, { readonly help: string; value: number }>()
  readonly startedMs: number

  constructor(clock: Clock) {
    this.startedMs = clock.now()
  }

  /** One request that was answered. */
  request(method: string, route: string, status: number, seconds: number): void {
    const labels = labelsOf({ method, route, status })
    let series = this.#requests.get(labels)
    if (series === undefined) {
      if (this.#requests.size >= SERIES_MAX) return
      series = { labels, count: 0, sum: 0, counts: buckets.map(() => 0) }
      this.#requests.set(labels, series)
    }
    series.count++
    series.sum += seconds
    const at = buckets.findIndex((bound) => seconds <= bound)
    if (at !== -1) series.counts[at] = (series.counts[at] ?? 0) + 1
  }

  /** Adds to a counter of the server's own. */
  add(name: string, help: string, by = 1): void {
    const counter = this.#counters.get(name) ?? { help, value: 0 }
    counter.value += by
    this.#counters.set(name, counter)
  }

  /** The page, with what is measured when it is asked for. */
  text(gauges: readonly Gauge[]): string {
    const lines: string[] = []
    const head = (name: string, help: string, type: string) =>
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
    const name = 'eventuali_http_request_duration_seconds'
    head(
      name,
      'Time from a request to the end of its answer, or to the start of a feed.',
      'histogram',
    )
    for (const { labels, count, sum, counts } of this.#requests.values()) {
      let total = 0
      for (const [at, bound] of buckets.entries()) {
        total += counts[at] ?? 0
        lines.push(`${name}_bucket{${labels},le="${bound}"} ${total}`)
      }
      lines.push(`${name}_bucket{${labels},le="+Inf"} ${count}`)
      lines.push(`${name}_sum{${labels}} ${sum}`, `${name}_count{${labels}} ${count}`)
    }
    for (const [counter, { help, value }] of this.#counters) {
      head(counter, help, 'counter')
      lines.push(`${counter} ${value}`)
    }
    for (const gauge of gauges) {
      head(gauge.name, gauge.help, gauge.type)
      for (const { labels, value } of gauge.values) {
        const shown = labels === undefined ? '' : `{${labelsOf(labels)}}`
        lines.push(`${gauge.name}${shown} ${value}`)
      }
    }
    return `${lines.join('\n')}\n`
  }
}
