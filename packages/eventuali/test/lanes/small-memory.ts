import { importEvents, openStore } from '../../src/index.ts'
import { programInput, runProgram, tell } from '../harness/program.ts'

/** A program that works with little memory. */
export interface SmallMemoryInput {
  readonly url: string
  readonly source: string
}

export interface SmallMemoryReport {
  readonly imported: number
  readonly streams: number
  readonly read: number
  readonly residentMiB: number
}

const input = programInput<SmallMemoryInput>()

runProgram(async () => {
  const store = await openStore(input.url)
  const { events, streams } = await importEvents(store, input.source)
  let read = 0
  for await (const event of store.readAll()) read += event.version > 0 ? 1 : 0
  const many = Array.from({ length: 10_000 }, (_, n) => ({ type: 'Noted', data: { n } }))
  const { version } = await store.append('many-1', many)
  if (version !== 10_000) throw new Error(`10,000 events made version ${version}`)
  const residentMiB = Math.round(process.resourceUsage().maxRSS / 1024)
  const result: SmallMemoryReport = { imported: events, streams, read, residentMiB }
  tell('report', result)
  await store.close()
})
