import { type Expected, isExpected, type Operation, type StreamHistory } from './stream-history.ts'

/** Draws a whole number from `low` to `high`. */
export type Draw = (low: number, high: number) => number

const expectations: readonly Expected[] = ['any', 'any', 'exists', 0, 1, 2, 3]

interface Planned {
  readonly client: number
  readonly called: number
  /** When it takes effect: after it was called, and before it returns unless nobody knows. */
  readonly at: number
  readonly returned: number
  readonly retry: boolean
  readonly unknown: 'no' | 'returned' | 'killed'
}

function plan(draw: Draw, clientCount: number, callCount: number): Planned[] {
  const planned: Planned[] = []
  for (let client = 0; client < clientCount; client++) {
    let now = draw(0, 6)
    for (let n = 0; n < callCount; n++) {
      const called = now + draw(1, 4)
      const returned = called + draw(1, 12)
      const fate = draw(0, 9)
      const unknown = fate === 0 ? 'killed' : fate === 1 ? 'returned' : 'no'
      const late = unknown === 'no' ? 0 : draw(0, 20)
      const at = called + (returned - called) * (draw(0, 100) / 100) + late
      planned.push({ client, called, at, returned, retry: draw(0, 3) === 0, unknown })
      if (unknown === 'killed') break
      now = returned
    }
  }
  return planned.sort((a, b) => a.at - b.at)
}

/** A history that a right stream could have had, small enough for a search. */
export function drawHistory(draw: Draw): StreamHistory {
  const state: number[] = []
  const operations: Operation[] = []
  const given: { readonly marks: readonly number[]; readonly expected: Expected }[] = []
  let mark = 0
  for (const { client, called, at, returned, retry, unknown } of plan(
    draw,
    draw(1, 3),
    draw(1, 4),
  )) {
    const place = {
      ...{ client: `c${client}`, stream: 's', called },
      returned: unknown === 'killed' ? null : returned,
    }
    if (draw(0, 9) < 4) {
      const last = ([0, 1, 2, 'all'] as const)[draw(0, 3)] ?? 'all'
      const marks = last === 'all' ? [...state] : last === 0 ? [] : state.slice(-last)
      const seen = { is: 'seen', version: state.length, marks } as const
      const outcome = unknown === 'no' ? seen : ({ is: 'unknown' } as const)
      operations.push({ ...place, call: { kind: 'read', last }, outcome })
      continue
    }
    const old = retry && given.length > 0 ? given[draw(0, given.length - 1)] : undefined
    const marks = old?.marks ?? Array.from({ length: draw(1, 2) }, () => ++mark)
    const expected = old?.expected ?? (expectations[draw(0, expectations.length - 1)] as Expected)
    const call = {
      kind: 'append',
      marks,
      expected,
      given: old !== undefined || draw(0, 1) === 0,
    } as const
    if (call.given && old === undefined) given.push({ marks, expected })
    const known = call.given ? state.indexOf(marks[0] as number) : -1
    // Half of what nobody knows of never takes effect.
    const happens = unknown === 'no' || (draw(0, 1) === 0 && at < 60)
    let outcome: Operation['outcome'] = { is: 'conflict', version: state.length }
    if (known !== -1) outcome = { is: 'stored', version: known + marks.length, duplicate: true }
    else if (draw(0, 14) === 0) outcome = { is: 'refused' }
    else if (isExpected(expected, state.length) && happens) {
      state.push(...marks)
      outcome = { is: 'stored', version: state.length, duplicate: false }
    }
    operations.push({ ...place, call, outcome: unknown === 'no' ? outcome : { is: 'unknown' } })
  }
  return { stream: 's', operations, final: state }
}

/** Falsifies a history in one place; it may be a right one still. */
export function falsify(history: StreamHistory, draw: Draw): StreamHistory {
  const { final } = history
  const operations = [...history.operations]
  if (draw(0, 5) === 0) return { ...history, final: changed(final, draw) }
  const at = draw(0, operations.length - 1)
  const old = operations[at] as Operation
  operations[at] = changedOperation(old, draw)
  return { ...history, operations }
}

function changed(marks: readonly number[], draw: Draw): readonly number[] {
  const copy = [...marks]
  const at = draw(0, Math.max(0, copy.length - 1))
  const way = draw(0, 2)
  if (way === 0) copy.splice(at, 1)
  else if (way === 1) copy.splice(at, 0, copy[draw(0, copy.length - 1)] ?? 1)
  else copy.push(...copy.splice(at, 1))
  return copy
}

function changedOperation(old: Operation, draw: Draw): Operation {
  const { outcome, called, returned } = old
  // Who never returned was told nothing.
  if (returned === null) return old
  const way = draw(0, 4)
  if (way === 0) {
    const shift = draw(-15, 15)
    return { ...old, called: called + shift, returned: returned + shift }
  }
  if (way === 1 && outcome.is === 'seen') {
    const marks = changed(outcome.marks, draw)
    const version =
      old.call.kind === 'read' && old.call.last === 'all' ? marks.length : outcome.version
    return { ...old, outcome: { ...outcome, marks, version } }
  }
  if (way === 2 && 'version' in outcome) {
    return { ...old, outcome: { ...outcome, version: Math.max(0, outcome.version + draw(-1, 1)) } }
  }
  if (old.call.kind === 'read') return old
  const others: readonly Operation['outcome'][] = [
    { is: 'refused' },
    { is: 'unknown' },
    { is: 'conflict', version: draw(0, 4) },
    { is: 'stored', version: draw(1, 5), duplicate: draw(0, 1) === 0 },
  ]
  return { ...old, outcome: others[draw(0, 3)] ?? outcome }
}
