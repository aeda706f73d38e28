import type { RecordedEvent } from 'eventuali'

/** Which activity came directly after which, in the same case, and how often. */
export class DirectlyFollows {
  /** Events by activity. */
  readonly activities = new Map<string, number>()
  /** Times that the second came directly after the first. */
  readonly edges = new Map<string, Map<string, number>>()
  readonly starts = new Map<string, number>()
  readonly #last = new Map<string, string>()

  /** Events of a case in their order; those of different cases may be mixed. */
  add({ stream, type }: Pick<RecordedEvent, 'stream' | 'type'>): void {
    count(this.activities, type)
    const before = this.#last.get(stream)
    this.#last.set(stream, type)
    if (before === undefined) {
      count(this.starts, type)
      return
    }
    const after = this.edges.get(before) ?? new Map<string, number>()
    count(after, type)
    this.edges.set(before, after)
  }

  get cases(): number {
    return this.#last.size
  }

  get edgeCount(): number {
    return [...this.edges.values()].reduce((sum, { size }) => sum + size, 0)
  }

  /** Steps in all: every event but the first of its case follows another. */
  get stepCount(): number {
    const counts = [...this.edges.values()].flatMap((after) => [...after.values()])
    return counts.reduce((sum, one) => sum + one, 0)
  }

  /** The graph in Mermaid, without the edges that are rarer than `least`. */
  mermaid(least: number): string {
    const edges = [...this.edges]
      .flatMap(([from, after]) => [...after].map(([to, times]) => ({ from, to, times })))
      .filter(({ times }) => times >= least)
      .sort((a, b) => b.times - a.times || (a.from + a.to < b.from + b.to ? -1 : 1))
    const names = [...new Set(edges.flatMap(({ from, to }) => [from, to]))].sort()
    const idOf = (name: string) => `a${names.indexOf(name)}`
    return [
      'flowchart TD',
      ...names.map((name) => `  ${idOf(name)}["${name} (${this.activities.get(name)})"]`),
      ...edges.map(({ from, to, times }) => `  ${idOf(from)} -->|${times}| ${idOf(to)}`),
    ].join('\n')
  }
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
