import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openStore } from '../../store/index.ts'

it.each(['node:sqlite', 'better-sqlite3'] as const)(
  '%s: a whole copy is a store of its own, in which consumers go on',
  async (driver) => {
    const folder = mkdtempSync(join(tmpdir(), 'eventuali-whole-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const source = await openStore(`sqlite:${join(folder, 'log.db')}`, { driver })
    for (let n = 0; n < 40; n++) {
      await source.append(`s-${n % 4}`, { type: 'T', data: { n, text: 'la '.repeat(3000) } })
    }
    await source.deleteStream('s-1')
    const reached = async (store: typeof source) =>
      (await store.subscriptions.status('mails'))?.position
    const consumer = source.subscribe({ name: 'mails' }, async () => {})
    while ((await reached(source)) !== 41) await new Promise((resolve) => setTimeout(resolve, 2))
    const writing = new AbortController()
    const writer = (async () => {
      for (let n = 0; !writing.signal.aborted; n++)
        await source.append('busy-1', { type: 'T', data: n })
    })()
    const into = join(folder, 'copy.db')
    const result = await source.fork({ into, whole: true })
    writing.abort()
    await Promise.all([writer, consumer.stop()])
    const copy = await openStore(`sqlite:${into}`, { driver })
    expect(copy.incarnation).toBe(result.incarnation)
    expect(copy.incarnation).not.toBe(source.incarnation)
    const log = await copy.readAll().toArray()
    expect(log).toEqual((await source.readAll().toArray()).slice(0, log.length))
    expect(log.at(-1)?.position).toBe(result.position)
    expect(log).toHaveLength(result.events)
    expect((await copy.verify()).problems).toEqual([])
    const handled = (await reached(copy)) ?? 0
    const seen: number[] = []
    await copy.append('s-0', { type: 'T', data: 1 })
    const again = copy.subscribe({ name: 'mails' }, async ({ position }) => {
      seen.push(position)
    })
    const wanted = (await copy.readAll({ after: handled }).toArray()).length
    while (seen.length < wanted) await new Promise((resolve) => setTimeout(resolve, 2))
    await again.stop()
    expect(seen[0]).toBeGreaterThan(handled)
    const exists = source.fork({ into, whole: true })
    await expect(exists).rejects.toMatchObject({ code: 'FORK_TARGET_EXISTS' })
    const wrong = source.fork({ into: join(folder, 'x.db'), whole: true, at: 3 })
    await expect(wrong).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    const stop = new AbortController()
    const stopped = source.fork({
      ...{ into: join(folder, 'x.db'), whole: true, signal: stop.signal },
      onProgress: () => stop.abort(new Error('enough')),
    })
    await expect(stopped).rejects.toThrow('enough')
    expect(readdirSync(folder).filter((name) => /unfinished|x\.db/.test(name))).toEqual([])
    await Promise.all([source.close(), copy.close()])
  },
)
