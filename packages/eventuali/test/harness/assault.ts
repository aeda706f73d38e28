import { isEventualiError, seededRandom } from '../../src/kernel/index.ts'
import { Junk, JunkError } from './junk.ts'

/** Something that takes data from outside, and how often it is tried. */
export interface Target {
  readonly name: string
  readonly cases: number
  /** Prepares it; what it gives is called with junk of its own for each case. */
  readonly open: () => Promise<Attack>
}

/** A refusal that is told, not thrown: an exit code, say. */
export interface Refusal {
  readonly refused: string
}

/** What one try came to: what is wrong with it, or nothing. */
export type Found = string | Refusal | undefined

/** One target, ready. */
export interface Attack {
  /**
   * Tries once. Resolves to what is wrong, or to nothing; throws what the target threw.
   */
  readonly tryOnce: (junk: Junk) => Promise<Found> | Found
  readonly close?: (() => Promise<void>) | undefined
}

/** What became of one target. */
export interface TargetReport {
  readonly name: string
  readonly cases: number
  /** Typed refusals by their code. */
  readonly refused: number
  readonly codes: readonly string[]
  readonly slowestMs: number
  readonly wrong: readonly string[]
}

/** CPU time that one case may take; the wall clock would count the neighbours' work as well. */
const hangMs = 1000
/** Wall time after which a case that waits for something is given up. */
const silenceMs = 15_000
const wrongMax = 5

const propertiesOf = (of: object): Map<PropertyKey, unknown> =>
  new Map(
    Reflect.ownKeys(of).map((key) => {
      const property = Object.getOwnPropertyDescriptor(of, key)
      return [key, property?.get ?? property?.value]
    }),
  )

/**
 * Remembers the prototypes that everything hangs on, and tells what was changed; `closely` looks at
 * values too, not at new properties only. What was added is taken away again.
 */
export function guardPrototypes(): (closely: boolean) => string | undefined {
  const guarded = [Object, Array, Function, String, Promise, Map, Error].map((c) => c.prototype)
  const kept = guarded.map(propertiesOf)
  return (closely) => {
    const changed: string[] = []
    for (const [n, of] of guarded.entries()) {
      const before = kept[n] as Map<PropertyKey, unknown>
      const keys = Reflect.ownKeys(of)
      for (const key of keys.length === before.size ? [] : keys) {
        if (before.has(key)) continue
        changed.push(String(key))
        Reflect.deleteProperty(of, key)
      }
      for (const [key, value] of closely ? propertiesOf(of) : []) {
        if (value !== before.get(key)) changed.push(String(key))
      }
      if (closely && keys.length < before.size) changed.push('a property is gone')
    }
    return changed.length > 0 ? `a prototype was changed: ${changed.join()}` : undefined
  }
}

/**
 * Whether a failure says what it is: one of ours, or the caller's own error handed on. A database
 * that refuses what it was handed is a check that nobody made.
 */
function isTyped(error: unknown): boolean {
  if (error instanceof JunkError) return true
  // A class that was handed in as a handler: what a handler throws is the caller's own.
  if (error instanceof TypeError && /^Class constructors? /.test(error.message)) return true
  if (isEventualiError(error, 'STORAGE_FAILED')) return false
  return isEventualiError(error) && /^[A-Z][A-Z_]+$/.test(error.code)
}

function shown(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${typeof error} ${String(error).slice(0, 200)}`
  const cause = error.cause instanceof Error ? ` because ${error.cause.message}` : ''
  return `threw ${error.stack?.split('\n').slice(0, 4).join(' | ').slice(0, 500)}${cause}`
}

const lost: string[] = []
process.on('unhandledRejection', (reason) => lost.push(`unhandled rejection: ${shown(reason)}`))
process.on('uncaughtException', (error) => lost.push(`uncaught exception: ${shown(error)}`))

/** Resolves like the call, or with what is wrong when it stays silent. */
async function inTime<T>(call: Promise<T>): Promise<T | string> {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer in ${silenceMs / 1000} s`), silenceMs)
  })
  try {
    return await Promise.race([call, silence])
  } finally {
    clearTimeout(timer)
  }
}

/** Tries a target as often as it says, from a seed; ends early when enough is wrong. */
export async function assail(
  target: Target,
  seed: number,
  count: number,
  onCase: (n: number) => void = () => {},
  enough = wrongMax,
): Promise<TargetReport> {
  const seeds = seededRandom(seed)
  const { tryOnce, close } = await target.open()
  const changed = guardPrototypes()
  const wrong: string[] = []
  const codes = new Map<string, number>()
  let slowestMs = 0
  let n = 0
  const blame = (what: string): void => {
    wrong.push(`${target.name} #${n}: ${what}`)
  }
  for (; n < count && wrong.length < enough; n++) {
    onCase(n)
    const junk = new Junk(Math.floor(seeds.next() * 2 ** 31))
    const before = process.cpuUsage()
    try {
      const call = tryOnce(junk)
      const found = call instanceof Promise ? await inTime(call) : call
      if (typeof found === 'string') blame(found)
      else if (found !== undefined) codes.set(found.refused, (codes.get(found.refused) ?? 0) + 1)
    } catch (error) {
      if (isTyped(error)) {
        const code = isEventualiError(error) ? error.code : 'the own error of the caller'
        codes.set(code, (codes.get(code) ?? 0) + 1)
      } else blame(shown(error))
    }
    const { user, system } = process.cpuUsage(before)
    const tookMs = (user + system) / 1000
    slowestMs = Math.max(slowestMs, tookMs)
    if (tookMs > hangMs) blame(`took ${tookMs.toFixed()} ms of CPU`)
    const pollution = changed(n % 100 === 99)
    if (pollution !== undefined) blame(pollution)
    for (const what of lost.splice(0)) blame(what)
  }
  await close?.()
  // Rejections that nobody waited for are told a turn later.
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  for (const what of [...lost.splice(0), changed(true)]) if (what !== undefined) blame(what)
  const refused = [...codes.values()].reduce((sum, one) => sum + one, 0)
  return { name: target.name, cases: n, refused, codes: [...codes.keys()], slowestMs, wrong }
}
