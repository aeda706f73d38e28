import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { History } from '../harness/stream-history.ts'

/** A history and what our own checker says of it. */
export interface Verdict {
  readonly name: string
  readonly history: History
  readonly linearizable: boolean
}

const sources = fileURLToPath(new URL('./porcupine/', import.meta.url))
const asked = process.env.EVENTUALI_PORCUPINE === '1' || Number(process.env.EVENTUALI_SCALE) > 1
let warned = false

/**
 * Why Porcupine is not asked: a soak asks it, and so does EVENTUALI_PORCUPINE=1, where Go is
 * installed. Building it downloads its module, which CI need not do.
 */
export function porcupineSkipReason(): string | undefined {
  if (!asked) return 'only a soak asks Porcupine; so does EVENTUALI_PORCUPINE=1'
  try {
    execFileSync('go', ['version'], { stdio: 'pipe' })
    return undefined
  } catch {
    if (!warned) console.warn('\n*** SKIPPED: no second opinion by Porcupine: go is not here ***\n')
    warned = true
    return 'go is not here'
  }
}

/** Asks Porcupine about histories; `differ` names those where it says something else. */
export async function askPorcupine(
  verdicts: readonly Verdict[],
): Promise<{ readonly agreed: number; readonly differ: readonly string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-porcupine-'))
  try {
    const program = join(folder, 'porcupine')
    const run = promisify(execFile)
    await run('go', ['build', '-o', program, '.'], { cwd: sources })
    const answers: { readonly name: string; readonly result: string }[] = []
    // A few at a time: a soak's histories are more than one text can hold.
    for (let from = 0; from < verdicts.length; from += 50) {
      const part = verdicts.slice(from, from + 50)
      const running = run(program, [], { maxBuffer: 2 ** 26 })
      for (const { name, history } of part) {
        running.child.stdin?.write(`${JSON.stringify({ name, ...history })}\n`)
      }
      running.child.stdin?.end()
      const lines = (await running).stdout.trim().split('\n')
      answers.push(...lines.map((line) => JSON.parse(line)))
    }
    const differ = verdicts.flatMap(({ name, linearizable }, n) => {
      const { result } = answers[n] ?? { result: 'no answer' }
      return result === (linearizable ? 'Ok' : 'Illegal') ? [] : [`${name}: ${result}`]
    })
    return { agreed: verdicts.length - differ.length, differ }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
