import { assail, type Target, type TargetReport } from './assault.ts'
import { tell } from './program.ts'

/** What a program that throws malformed input at targets is started with. */
export interface AssaultInput {
  readonly seed: number
  readonly scale: number
  /** Only these targets; all of them when left out, the planted ones never. */
  readonly only?: readonly string[] | undefined
}

/** Where it is, told twice a second: what it was at when it said nothing more. */
export interface AssaultBeat {
  readonly target: string
  readonly n: number
}

/** Assails the targets one after the other, and tells what became of them. */
export async function assailAll(
  { seed, scale, only }: AssaultInput,
  regular: readonly Target[],
  planted: readonly Target[],
): Promise<void> {
  const all = only === undefined ? regular : [...regular, ...planted]
  const reports: TargetReport[] = []
  let toldAt = 0
  for (const [at, target] of all.entries()) {
    if (only?.includes(target.name) === false) continue
    const beat = (n: number): void => {
      if (n > 0 && performance.now() - toldAt < 500) return
      toldAt = performance.now()
      tell('beat', { target: target.name, n } satisfies AssaultBeat)
    }
    const count = Math.max(1, Math.round(target.cases * scale))
    // Of a planted bug one sign is enough.
    const enough = only === undefined ? undefined : 1
    reports.push(await assail(target, seed + at, count, beat, enough))
  }
  tell('report', reports)
}
