/** One test that did not run, and why. */
export interface Skip {
  readonly name: string
  readonly why: string
  /** Skipped by the contract's binder, because the store denies a capability. */
  readonly denied?: boolean
}

/** One case of a contract on one adapter. */
export interface ContractResult {
  readonly adapter: string
  readonly name: string
  /** `denied` by capability, `skipped` for want of something else. */
  readonly state: 'passed' | 'failed' | 'denied' | 'skipped'
  readonly why: string
}

/** What came of one suite. */
export interface Tally {
  readonly suite: string
  readonly passed: number
  /** Names of what failed. */
  readonly failures: readonly string[]
  readonly skips: readonly Skip[]
  readonly seconds: number
  readonly contract?: readonly ContractResult[]
}

/** Where CI looks: a skip that no denied capability explains counts as a failure there. */
export function asSeenByCi(tally: Tally): Tally {
  const hiding = tally.skips.filter((skip) => skip.denied !== true)
  return {
    ...tally,
    skips: tally.skips.filter((skip) => skip.denied === true),
    failures: [...tally.failures, ...hiding.map((s) => `${s.name} (skipped in CI: ${s.why})`)],
  }
}

/** The one line that programs read: `N passed, N failed, N skipped`. */
export function sumLine(tallies: readonly Tally[]): string {
  const sum = (count: (tally: Tally) => number): number =>
    tallies.reduce((total, tally) => total + count(tally), 0)
  const passed = sum((t) => t.passed)
  const failed = sum((t) => t.failures.length)
  return `${passed} passed, ${failed} failed, ${sum((t) => t.skips.length)} skipped`
}

/** The part for people above that line: each suite, then what failed and what did not run. */
export function report(tallies: readonly Tally[]): string {
  const lines: string[] = ['']
  for (const t of tallies) {
    const counts = `${t.passed} passed, ${t.failures.length} failed, ${t.skips.length} skipped`
    lines.push(`${t.suite.padEnd(10)} ${t.seconds.toFixed(1).padStart(7)} s   ${counts}`)
  }
  for (const t of tallies) {
    for (const skip of t.skips.filter((s) => s.denied !== true)) {
      lines.push(`SKIPPED ${t.suite}: ${skip.name} (${skip.why})`)
    }
    const denied = Map.groupBy(
      t.skips.filter((s) => s.denied === true),
      (s) => s.why,
    )
    for (const [why, skips] of denied) {
      lines.push(`SKIPPED ${t.suite}: ${skips.length} contract cases that need ${why}`)
    }
  }
  for (const t of tallies) {
    for (const failure of t.failures) lines.push(`FAILED  ${t.suite}: ${failure}`)
  }
  return lines.join('\n')
}
