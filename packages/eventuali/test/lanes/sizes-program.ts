import { openStore } from '../../src/index.ts'
import { programInput, runProgram, tell } from '../harness/program.ts'
import type { Setting } from '../harness/settings.ts'

/** A program with little memory that reads a long log in every way. */
export interface SizesProgramInput {
  readonly url: string
  readonly options: Setting['options'] & { readonly profile: 'relaxed' }
  readonly longCount: number
  readonly streamCount: number
}

export interface SizesProgramReport {
  readonly wrong: readonly string[]
  readonly residentMiB: number
}

const { url, options, longCount, streamCount } = programInput<SizesProgramInput>()

runProgram(async () => {
  const store = await openStore(url, options)
  const wrong: string[] = []
  const expectCount = (what: string, count: number, expected: number): void => {
    if (count !== expected) wrong.push(`${what}: ${count} of ${expected}`)
  }
  let n = 0
  for await (const { version, data } of store.readStream('long-1')) {
    if (version !== n + 1 || (data as { n: number }).n !== n) wrong.push(`event ${n} of the stream`)
    n++
  }
  expectCount('events of the stream', n, longCount)
  for await (const { version } of store.readStream('long-1', { direction: 'backward' })) {
    if (version !== n--) wrong.push(`backward: version ${version}`)
  }
  let [read, last] = [0, 0]
  for await (const { position } of store.readAll()) {
    if (position <= last) wrong.push(`position ${position} after ${last}`)
    last = position
    read++
  }
  expectCount('events of the log', read, longCount + streamCount)
  let wide = 0
  for await (const _ of store.readAll({ categories: ['wide'] })) wide++
  expectCount('events of a category', wide, streamCount)
  const names = new Set<string>()
  for await (const { stream } of store.streams({ prefix: 'wide-' })) names.add(stream)
  expectCount('streams', names.size, streamCount)
  const info = await store.stream('long-1')
  expectCount('the count that is told', info?.count ?? 0, longCount)
  const report = await store.verify()
  wrong.push(...report.problems.map(({ reason }) => reason))
  const residentMiB = Math.round(process.resourceUsage().maxRSS / 1024)
  tell('report', { wrong: wrong.slice(0, 10), residentMiB } satisfies SizesProgramReport)
  await store.close()
})
