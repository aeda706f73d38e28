/** One measurement of a page of metrics. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** The samples of each metric, by its name. */
export type Metrics = ReadonlyMap<string, readonly Sample[]>

const line = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/
const label = /([a-z_]+)="((?:[^"\\]|\\.)*)"/g

/** Reads Prometheus' text format, as the server writes it. Throws for a line that is none of it. */
export function parseMetrics(text: string): Metrics {
  const found = new Map<string, Sample[]>()
  for (const one of text.split('\n')) {
    if (one === '' || one.startsWith('#')) continue
    const [, name, labelText = '', value] = line.exec(one) ?? []
    if (name === undefined) throw new Error(`this is no metric: ${one}`)
    const labels = [...labelText.matchAll(label)].map(([, key, word = '']) => [
      key,
      unescaped(word),
    ])
    const samples = found.get(name) ?? []
    samples.push({ labels: Object.fromEntries(labels), value: Number(value) })
    found.set(name, samples)
  }
  return found
}

function unescaped(word: string): string {
  return word.replace(/\\(.)/g, (_all, character) => (character === 'n' ? '\n' : character))
}
