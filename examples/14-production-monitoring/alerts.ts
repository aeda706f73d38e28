import type { Metrics, Sample } from './metrics.ts'

/** When somebody is to be told: a metric is above a number for several looks in a row. */
export interface Rule {
  readonly alert: string
  readonly metric: string
  readonly above: number
  /** Looks in a row; one bad moment wakes nobody. */
  readonly looks: number
  /** What to do, as the one who is woken reads it. */
  readonly action: string
}

export const rules: readonly Rule[] = [
  {
    alert: 'DeadLetters',
    metric: 'eventuali_dead_letters',
    above: 0,
    looks: 1,
    action: 'eventuali deadletters list, mend the cause, eventuali deadletters retry',
  },
  {
    alert: 'Stopped',
    metric: 'eventuali_subscription_stopped',
    above: 0,
    looks: 1,
    action: 'eventuali subscriptions status, mend the cause, eventuali subscriptions resume',
  },
  {
    alert: 'Lag',
    metric: 'eventuali_subscription_lag',
    above: 5,
    looks: 3,
    action: 'see that a program runs it: OWNED of eventuali subscriptions list',
  },
]

/** What has changed at a look. */
export interface Change {
  readonly state: 'FIRING' | 'RESOLVED'
  readonly rule: Rule
  readonly subject: string
  readonly value: number
}

/** The rules over one page of metrics after the other, as Prometheus does it. */
export class Alerts {
  /** How many looks in a row each was bad. */
  readonly #bad = new Map<
    string,
    { readonly rule: Rule; readonly subject: string; looks: number }
  >()

  /** Those that fire now. */
  get firing(): string[] {
    const found = [...this.#bad.values()].filter(({ rule, looks }) => looks >= rule.looks)
    return found.map(({ rule, subject }) => `${rule.alert} ${subject}`)
  }

  look(metrics: Metrics): Change[] {
    return rules.flatMap((rule) =>
      (metrics.get(rule.metric) ?? []).flatMap((sample) => this.#judge(rule, sample)),
    )
  }

  #judge(rule: Rule, { labels, value }: Sample): Change[] {
    const { subscription: subject = '' } = labels
    const key = `${rule.alert} ${subject}`
    const held = this.#bad.get(key) ?? { rule, subject, looks: 0 }
    if (value > rule.above) {
      held.looks++
      this.#bad.set(key, held)
      return held.looks === rule.looks ? [{ state: 'FIRING', rule, subject, value }] : []
    }
    this.#bad.delete(key)
    return held.looks >= rule.looks ? [{ state: 'RESOLVED', rule, subject, value }] : []
  }
}

const SCRAPE_SECONDS = 15

/** The same rules for Prometheus, to go on with. */
export function prometheusRules(): string {
  const lines = rules.flatMap(({ alert, metric, above, looks, action }) => [
    `      - alert: ${alert}`,
    `        expr: ${metric} > ${above}`,
    `        for: ${(looks - 1) * SCRAPE_SECONDS}s`,
    '        annotations:',
    `          summary: '{{ $labels.subscription }} is at {{ $value }}'`,
    `          action: '${action}'`,
  ])
  return ['groups:', '  - name: eventuali', '    rules:', ...lines].join('\n')
}
