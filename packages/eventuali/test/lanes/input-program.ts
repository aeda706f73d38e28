import { assail, type Target, type TargetReport } from '../harness/assault.ts'
import { programInput, runProgram, tell } from '../harness/program.ts'
import { callTargets } from './input-calls.ts'
import { commandTargets } from './input-commands.ts'
import { eventTargets } from './input-events.ts'
import { fileTargets } from './input-files.ts'
import { planTargets } from './input-plans.ts'
import { plantedTargets } from './input-planted.ts'

/** A program that throws malformed input at everything; it may crash or hang alone. */
export interface InputProgramInput {
  readonly seed: number
  readonly scale: number
  readonly postgresUrl: string | undefined
  /** Only these targets; all of them when left out, the planted ones never. */
  readonly only?: readonly string[] | undefined
}

/** Where it is, told twice a second: what it was at when it said nothing more. */
export interface InputBeat {
  readonly target: string
  readonly n: number
}

const { seed, scale, postgresUrl, only } = programInput<InputProgramInput>()

runProgram(async () => {
  const regular: readonly Target[] = [
    ...eventTargets(postgresUrl),
    ...callTargets(postgresUrl),
    ...fileTargets(),
    ...planTargets(),
    ...commandTargets(),
  ]
  const all = only === undefined ? regular : [...regular, ...plantedTargets()]
  const reports: TargetReport[] = []
  let toldAt = 0
  for (const [at, target] of all.entries()) {
    if (only?.includes(target.name) === false) continue
    const beat = (n: number): void => {
      if (n > 0 && performance.now() - toldAt < 500) return
      toldAt = performance.now()
      tell('beat', { target: target.name, n } satisfies InputBeat)
    }
    const count = Math.max(1, Math.round(target.cases * scale))
    // Of a planted bug one sign is enough.
    const enough = only === undefined ? undefined : 1
    reports.push(await assail(target, seed + at, count, beat, enough))
  }
  tell('report', reports)
})
