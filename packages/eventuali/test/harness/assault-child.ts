import { setTimeout as sleep } from 'node:timers/promises'
import type { TargetReport } from './assault.ts'
import type { AssaultBeat, AssaultInput } from './assault-program.ts'
import type { Campaign } from './campaign.ts'
import { endChildren, startChild } from './child.ts'

/** What became of all targets, and what was wrong. */
export interface Outcome {
  readonly reports: readonly TargetReport[]
  readonly wrong: readonly string[]
}

/**
 * Runs targets in a program beside the caller, which may crash or hang; what it says last tells
 * where it got stuck.
 */
export async function assailInChild(
  from: string,
  program: string,
  input: AssaultInput,
  silenceMs = 90_000,
): Promise<Outcome> {
  // A bomb must not take the machine with it.
  const nodeOptions = ['--max-old-space-size=700']
  const child = startChild(from, program, { input, nodeOptions })
  let last: AssaultBeat = { target: 'the start', n: 0 }
  let over = false
  const beats = async (): Promise<void> => {
    while (!over) last = await child.message<AssaultBeat>('beat', silenceMs)
  }
  try {
    const report = child.message<TargetReport[]>('report', 3_600_000)
    const reports = await Promise.race([report, beats().then(() => report)])
    return { reports, wrong: reports.flatMap(({ wrong }) => wrong) }
  } catch (error) {
    const what = error instanceof Error ? error.message.split('\n').slice(0, 3).join(' ') : error
    return { reports: [], wrong: [`after ${last.target} #${last.n}: ${what}`] }
  } finally {
    over = true
    await endChildren([child])
    await sleep(0)
  }
}

/** Notes how much was tried; gives the number of cases. */
export function noteReports(run: Campaign, reports: readonly TargetReport[]): number {
  const cases = reports.reduce((sum, { cases: count }) => sum + count, 0)
  const refused = reports.reduce((sum, report) => sum + report.refused, 0)
  const slowestMs = Math.max(...reports.map((report) => report.slowestMs))
  run.note(`${cases} cases, ${refused} refused, slowest ${slowestMs.toFixed()} ms of CPU`)
  run.note(reports.map(({ name, cases: count }) => `${name} ${count}`).join(', '))
  return cases
}
