import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { startChild } from '../harness/child.ts'
import { sharedPlaces } from '../harness/places.ts'
import type { MissingCodecInput, MissingCodecReport } from './missing-codec-program.ts'

/** Makes a package look as if it were not installed. */
const hiding = (name: string) => {
  const code = `import Module from 'node:module'
    const resolve = Module._resolveFilename
    Module._resolveFilename = (request, ...rest) => {
      if (request !== ${JSON.stringify(name)}) return resolve(request, ...rest)
      throw Object.assign(new Error("Cannot find module '${name}'"), { code: 'MODULE_NOT_FOUND' })
    }`
  return ['--import', `data:text/javascript,${encodeURIComponent(code)}`]
}

async function run(input: MissingCodecInput, nodeOptions: readonly string[] = []) {
  const program = './missing-codec-program.ts'
  const child = startChild(import.meta.url, program, { input, nodeOptions })
  const told = await child.message<MissingCodecReport>('done', 60_000)
  await child.ended
  return told
}

describe.each(sharedPlaces())('a codec whose package is not installed: $adapter', (place) => {
  beforeAll(() => place.start(), 60_000)
  afterAll(() => place.stop())
  const it = place.skip === undefined ? test : test.skip

  it('is named with what to install, kept states are passed over, nothing is lost', async () => {
    const url = await place.url()
    await run({ url, task: 'write' })
    const with_ = await run({ url, task: 'read' })
    expect(with_).toMatchObject({ opening: 'nothing', reading: 'nothing', sum: 15, damaged: 0 })
    expect(with_.used).toBeGreaterThan(0)

    const without = await run({ url, task: 'read' }, hiding('snappy'))
    expect(without.opening).toMatch(/^CODEC_MISSING: .*npm install snappy/)
    expect(without.reading).toMatch(/^CODEC_MISSING: .*npm install snappy/)
    expect(without.sum).toBe(15)

    await using store = await openStore(url)
    const texts = (await store.readStream('packed-1').toArray()).map(({ data }) => data)
    expect(texts).toEqual([{ text: 'text '.repeat(100) }, ...Array(2).fill({ text: 'plain' })])
  })
})
