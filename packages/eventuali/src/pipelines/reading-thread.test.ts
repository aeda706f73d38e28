import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Clock, systemClock } from '../kernel/index.ts'
import type { RecordedEvent } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { wrapStore } from '../testing/index.ts'
import { importWith } from './import-events.ts'
import {
  type ImportOptions,
  type ImportProgress,
  type ImportResult,
  importEvents,
  lineBytesMax,
} from './index.ts'
import { type ThreadChoice, threadDefault } from './reading-thread.ts'

const folder = mkdtempSync(join(tmpdir(), 'eventuali-reading-'))
const here: ThreadChoice = { ...threadDefault, fromBytes: Number.POSITIVE_INFINITY }
const inThread: ThreadChoice = { ...threadDefault, fromBytes: 0 }

/** A thread that does something else than it should. */
const programmed = (...lines: readonly string[]): ThreadChoice => {
  const text = ["import { parentPort } from 'node:worker_threads'", ...lines].join('\n')
  return { fromBytes: 0, program: new URL(`data:text/javascript,${encodeURIComponent(text)}`) }
}
const started = "parentPort.postMessage({ kind: 'started' })"

let threads = 0
const count = () => {
  threads++
}
beforeAll(() => {
  process.on('worker', count)
})
afterAll(() => {
  process.off('worker', count)
  rmSync(folder, { recursive: true, force: true })
})

let fileCount = 0
function fileOf(content: string | Uint8Array, name = `${fileCount++}.ndjson`): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const lineOf = (stream: string, n: number): string =>
  `${JSON.stringify({ stream, type: 'Counted', data: { n }, time: '2020-01-01T00:00:00Z' })}\n`

const someLines = (count: number): string =>
  Array.from({ length: count }, (_, n) => lineOf(`s-${n % 7}`, n)).join('')

async function logOf(store: EventStore): Promise<RecordedEvent[]> {
  const { safe } = await store.positions()
  const events: RecordedEvent[] = []
  for await (const page of store.readLog({ direction: 'forward', upTo: safe })) {
    events.push(...page.map((event) => ({ ...event, recordedAt: new Date(0) })))
  }
  return events
}

/** Its time is how often it was asked. */
function countingClock(): Clock {
  let asked = 0
  return { ...systemClock, now: () => asked++, monotonic: () => 0 }
}

interface Outcome {
  readonly result: ImportResult | undefined
  readonly error: object | undefined
  readonly log: readonly RecordedEvent[]
  /** Of each append, the lines' streams in their order. */
  readonly batches: readonly (readonly string[])[]
  readonly lastProgress: ImportProgress | undefined
}

const shownError = (error: Error & { code?: string; line?: number }): object => {
  const { name, message, code, line, cause } = error
  if (!(cause instanceof Error)) return { name, message, code, line, cause }
  return { name, message, code, line, cause: { ...cause, is: cause.name, says: cause.message } }
}

/** Everything that can be seen of an import. */
async function outcomeOf(
  choice: ThreadChoice,
  source: string,
  options: ImportOptions = {},
): Promise<Outcome> {
  const store = await openMemoryStore()
  const batches: string[][] = []
  const seen = wrapStore(store, {
    append: (next, request) => {
      batches.push(request.entries.map(({ stream }) => stream))
      return next.append(request)
    },
  })
  let lastProgress: ImportProgress | undefined
  let result: ImportResult | undefined
  let error: object | undefined
  const onProgress = (progress: ImportProgress) => {
    lastProgress = progress
  }
  try {
    const all = { clock: countingClock(), onProgress, ...options }
    result = await importWith(choice, seen, source, all)
  } catch (caught) {
    error = shownError(caught as Error)
  }
  return { result, error, log: await logOf(store), batches, lastProgress }
}

/** Imports a file both ways and gives what came of it, which must be the same. */
async function bothWays(source: string, options: ImportOptions = {}): Promise<Outcome> {
  const expected = await outcomeOf(here, source, options)
  const before = threads
  const found = await outcomeOf(inThread, source, options)
  expect(threads - before).toBe(1)
  const { lastProgress, ...rest } = found
  const { lastProgress: expectedProgress, ...expectedRest } = expected
  expect(rest).toEqual(expectedRest)
  // How far the reading is ahead of the storing is a matter of time.
  expect({ ...lastProgress, bytesRead: 0 }).toEqual({ ...expectedProgress, bytesRead: 0 })
  return found
}

const oddLines = [
  '{"stream":"s-1","type":"T","data":1}',
  '{"stream":"s-1","type":"T","data":{"a":"é\\u2028\\ud800","b":[-0,1.50,1e3]},"tags":["k:v","k:v"]}',
  '{"stream":"s-2","type":"Ü","data":null,"metadata":{"actor":"ada","tenant":"t","n":[1]},"id":"x"}',
  '{"stream":"s-1","type":"T","data":"twice","id":"y","schemaVersion":3,"metadata":{}}',
  '{"stream":"s-1","type":"T","data":"twice","id":"y"}',
  '{"specversion":"1.0","id":"c1","source":"/x","type":"T","subject":"s-9","data":{"b":2,"1":1}}',
  '{"stream":',
  '{"stream":"s-7","type":7}',
  '{"stream":"s-1","type":"T","data":{"__proto__":{"x":1}}}',
  '{"stream":"s-1","type":"T","data":1e400}',
  '{"stream":"s-1","type":"T","data":9007199254740993}',
  `{"stream":"s-8","type":"T","data":${'['.repeat(300)}${']'.repeat(300)}}`,
  '{"stream":"s-1","type":"T","data":1,"metadata":{"deep":{"__proto__":1}}}',
  '{"stream":"s-1","type":"T","data":1,"time":"2013-01-01T10:00:00"}',
  '{"stream":"s-3","type":"T","data":[],"time":"2013-01-01T10:00:00+02:00"}',
  '',
]

describe('a file read by a second thread gives the same', () => {
  it('for odd and bad lines, packed and not, with and without a mark at the front', async () => {
    const text = `\uFEFF${oddLines.join('\r\n')}`
    const { result } = await bothWays(fileOf(text), { skipInvalid: true, batchCountMax: 3 })
    expect(result).toMatchObject({ events: 6, duplicates: 1, skippedCount: 8, streams: 5 })
    await bothWays(fileOf(gzipSync(text)), { skipInvalid: true, batchCountMax: 4 })
    await bothWays(fileOf(`[${oddLines.slice(0, 6).join(',\n')}]`), { batchCountMax: 2 })
  })

  it('for each bad line that ends it', async () => {
    for (const bad of oddLines.slice(6, 9)) {
      const text = `${someLines(4)}${bad}\n${someLines(2)}`
      const { error, log } = await bothWays(fileOf(text), { batchCountMax: 2 })
      expect(error).toMatchObject({ name: 'ImportLineError', line: 5 })
      expect(log).toHaveLength(4)
    }
  })

  it('for a line over the limit', async () => {
    const text = `${lineOf('s', 1)}${'x'.repeat(lineBytesMax + 1)}\n${lineOf('s', 2)}`
    const { result } = await bothWays(fileOf(text), { skipInvalid: true })
    expect(result?.skipped).toEqual([{ line: 2, reason: `is longer than ${lineBytesMax} bytes` }])
  })

  it('for an event that is too large for a store', async () => {
    const large = JSON.stringify({ stream: 's', type: 'T', data: 'é'.repeat(8.5e6) })
    const { result } = await bothWays(fileOf(`${lineOf('s', 1)}${large}\n`), { skipInvalid: true })
    expect(result).toMatchObject({ events: 1, skippedCount: 1 })
  })

  it('for an array without an end', async () => {
    const { error } = await bothWays(fileOf('[{"stream":"s","type":"T","data":1},'))
    expect(error).toMatchObject({ message: expect.stringContaining('ends too early') })
  })

  it('for a packed file that is cut off, as far as it goes', async () => {
    const packed = gzipSync(someLines(5000))
    const source = fileOf(packed.subarray(0, packed.length - 100))
    const options = { batchCountMax: 100 }
    const { error, log } = await outcomeOf(here, source, options)
    const found = await outcomeOf(inThread, source, options)
    expect(found.error).toEqual(error)
    expect(error).toMatchObject({
      name: 'ImportSourceError',
      code: 'IMPORT_SOURCE_FAILED',
      cause: { code: 'Z_BUF_ERROR' },
    })
    // What is unpacked, but not yet taken, when the end is missed is a matter of time.
    const count = Math.min(log.length, found.log.length)
    expect(count).toBeGreaterThanOrEqual(100)
    expect(found.log.length % 100).toBe(0)
    expect(found.log.slice(0, count)).toEqual(log.slice(0, count))
  })

  it('for any file', async () => {
    const line = fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...oddLines) },
      {
        weight: 5,
        arbitrary: fc
          .record({
            stream: fc.constantFrom('s-1', 's-2', 's-3'),
            type: fc.constantFrom('A', 'B'),
            data: fc.jsonValue(),
          })
          .map((event) => JSON.stringify(event)),
      },
    )
    const file = fc.record({
      lines: fc.array(line, { maxLength: 80 }),
      front: fc.constantFrom('', '\uFEFF', '\n'),
      isArray: fc.boolean(),
      isPacked: fc.boolean(),
      cutBytes: fc.constantFrom(0, 0, 0, 1, 9),
      batchCountMax: fc.integer({ min: 1, max: 20 }),
      skipInvalid: fc.boolean(),
    })
    const property = fc.asyncProperty(file, async (made) => {
      const { lines, front, isArray, isPacked, cutBytes, batchCountMax, skipInvalid } = made
      const text = isArray ? `${front}[${lines.join(',')}]` : `${front}${lines.join('\n')}`
      const bytes = Buffer.from(text)
      const cut = bytes.subarray(0, Math.max(0, bytes.length - cutBytes))
      const content = isPacked ? gzipSync(cut) : cut
      await bothWays(fileOf(content, 'any.ndjson'), { batchCountMax, skipInvalid })
    })
    await fc.assert(property, { numRuns: 12 })
  })
})

describe('a second thread', () => {
  it.skipIf(availableParallelism() === 1)('is started for a large file', async () => {
    const path = fileOf(someLines(10_000))
    const before = threads
    expect(await importEvents(await openMemoryStore(), path)).toMatchObject({ events: 10_000 })
    expect(threads - before).toBe(1)
  })

  it('is not started for a small file, nor for what is no file', async () => {
    const before = threads
    const path = fileOf(someLines(3))
    const oneMore = { ...inThread, fromBytes: statSync(path).size + 1 }
    expect((await outcomeOf(oneMore, path)).result).toMatchObject({ events: 3 })
    expect((await outcomeOf(inThread, folder)).error).toMatchObject({
      message: expect.stringContaining('it is a folder'),
    })
    expect((await outcomeOf(inThread, join(folder, 'nowhere'))).error).toMatchObject({
      message: expect.stringContaining('there is no such file'),
    })
    expect(threads).toBe(before)
  })

  it.each([
    ['has no program', { ...inThread, program: undefined }],
    ['has lost its program', { ...inThread, program: new URL('nowhere.js', import.meta.url) }],
    ['has a program that cannot be loaded', { ...inThread, program: new URL('http://x/y.js') }],
    ['has a program that fails at once', programmed('throw new Error("no")')],
    ['has a program that ends at once', programmed()],
  ])('that %s is done without', async (_, choice) => {
    const path = fileOf(someLines(2000))
    const { batches, result, lastProgress } = await outcomeOf(choice, path)
    expect(result).toMatchObject({ events: 2000, streams: 7 })
    expect(batches).toHaveLength(2)
    expect(lastProgress?.bytesRead).toBe(statSync(path).size)
  })

  it.each([
    ['throws', "throw new Error('broken')", /the thread that reads it has failed \(broken\)/],
    ['exits', 'process.exit(3)', /the thread that reads it has failed \(it ended with code 3\)/],
    ['goes', 'parentPort.close()', /the thread that reads it has failed \(it ended with code 0\)/],
  ])('that %s in the middle is a failure of the source', async (_, line, message) => {
    const choice = programmed(started, `parentPort.once('message', () => { ${line} })`)
    const { error, log } = await outcomeOf(choice, fileOf(someLines(3)))
    expect(error).toMatchObject({
      code: 'IMPORT_SOURCE_FAILED',
      message: expect.stringMatching(message),
    })
    expect(log).toEqual([])
  })

  it.each([
    ['that starts', 'setInterval(() => {}, 1000)'],
    ['that reads', `${started}; parentPort.on('message', () => {})`],
    ['that is busy', `${started}; for (;;);`],
  ])('%s ends as soon as the signal is aborted', async (_, line) => {
    const store = await openMemoryStore()
    const stop = new AbortController()
    const ended = new Promise((resolve) => {
      process.once('worker', (worker) => worker.once('exit', resolve))
    })
    const source = fileOf(someLines(3))
    const running = importWith(programmed(line), store, source, { signal: stop.signal })
    setTimeout(() => stop.abort(new Error('stopped')), 100)
    await expect(running).rejects.toThrow('stopped')
    await ended
  })

  it('is not started when the signal is aborted before', async () => {
    const before = threads
    const signal = AbortSignal.abort(new Error('too late'))
    const { error, log } = await outcomeOf(inThread, fileOf(someLines(3)), { signal })
    expect(error).toMatchObject({ message: 'too late' })
    expect(log).toEqual([])
    expect(threads).toBe(before)
  })

  it('is gone after an abort between batches, and whole batches are stored', async () => {
    const store = await openMemoryStore()
    const stop = new AbortController()
    const exits: number[] = []
    process.once('worker', (worker) => worker.once('exit', (code) => exits.push(code)))
    const source = fileOf(someLines(3000))
    const running = importWith(inThread, store, source, {
      batchCountMax: 100,
      signal: stop.signal,
      onProgress: ({ events }) => {
        if (events >= 400) stop.abort(new Error('enough'))
      },
    })
    await expect(running).rejects.toThrow('enough')
    expect(exits).toHaveLength(1)
    const stored = (await logOf(store)).length
    expect(stored % 100).toBe(0)
    expect(stored).toBeLessThan(3000)
    const rest = await importWith(inThread, store, source)
    expect(rest).toMatchObject({ events: 3000 - stored, duplicates: stored })
  })

  it('reads two batches ahead of a slow store and no more', async () => {
    const line = JSON.stringify({ stream: 's', type: 'T', data: 'x'.repeat(200_000) })
    const source = fileOf(`${line}\n`.repeat(30))
    let appends = 0
    const slow = wrapStore(await openMemoryStore(), {
      append: async (next, request) => {
        if (appends++ === 0) {
          await sleep(1000)
          // What was read by now is stored, and the rest is gone.
          truncateSync(source)
        }
        return next.append(request)
      },
    })
    const { events } = await importWith(inThread, slow, source, {
      batchCountMax: 1,
      skipInvalid: true,
    })
    expect(events).toBe(3)
  })

  it('does not keep the process alive, whatever became of the import', async () => {
    const good = fileOf(someLines(3000))
    const bad = fileOf(`${someLines(3000)}x`)
    const url = (name: string) => JSON.stringify(new URL(name, import.meta.url).href)
    const program = `
      import { openMemoryStore } from ${url('../stores/memory/index.ts')}
      import { importWith } from ${url('./import-events.ts')}
      import { threadDefault } from ${url('./reading-thread.ts')}
      const choice = { ...threadDefault, fromBytes: 0 }
      process.on('worker', () => console.log('a thread'))
      for (const file of ${JSON.stringify([good, bad])}) {
        const found = await importWith(choice, await openMemoryStore(), file).catch((e) => e)
        console.log(found.events ?? found.code, process.getActiveResourcesInfo().includes('MessagePort'))
      }`
    const args = ['--input-type=module', '--eval', program]
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 50_000 })
    const lines = ['a thread', '3000 false', 'a thread', 'IMPORT_LINE_INVALID false', '']
    expect(stdout.split('\n')).toEqual(lines)
  })
})
