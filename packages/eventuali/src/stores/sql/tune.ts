import { shownText } from '../../kernel/index.ts'
import { InvalidArgumentError } from '../../model/index.ts'
import type { TuneRequest, TuningAdvice } from '../../ports/index.ts'

/**
 * Carries out what is asked for of the advice, one after another. Throws InvalidArgumentError for
 * a name that is not among it, or that is the administrator's to decide.
 */
export async function applyAdvice(
  advice: readonly Omit<TuningAdvice, 'applied'>[],
  { apply }: TuneRequest,
  run: (statement: string) => Promise<void>,
): Promise<readonly TuningAdvice[]> {
  if (apply !== 'all' && !Array.isArray(apply)) {
    throw new InvalidArgumentError('apply', "must be names, or 'all'")
  }
  const own = new Set(advice.filter(({ scope }) => scope === 'store').map(({ name }) => name))
  for (const name of apply === 'all' ? [] : apply) {
    if (own.has(name)) continue
    const why = advice.some((one) => one.name === name)
      ? 'is not the store alone: whoever runs the server decides it'
      : 'is no advice for this store now'
    throw new InvalidArgumentError('apply', `${shownText(name)} ${why}`)
  }
  const result: TuningAdvice[] = []
  for (const one of advice) {
    const applied = own.has(one.name) && (apply === 'all' || apply.includes(one.name))
    if (applied) await run(one.statement)
    result.push({ ...one, applied })
  }
  return result
}
