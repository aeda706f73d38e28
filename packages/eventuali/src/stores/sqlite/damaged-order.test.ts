import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openStore } from '../../store/index.ts'

const count = 510
/** How SQLite writes 510, and 126 in as many bytes. */
const [written, lower] = [Buffer.from([0x83, 0x7e]), Buffer.from([0x80, 0x7e])]

function placesOf(bytes: Buffer): number[] {
  const places: number[] = []
  for (let at = bytes.indexOf(written); at !== -1; at = bytes.indexOf(written, at + 1)) {
    places.push(at)
  }
  return places
}

test('a last row that claims an earlier position leads no reader in circles', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-order-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'log.db')
  const made = await openStore(`sqlite:${file}`, { profile: 'relaxed' })
  await made.append(
    'order-1',
    Array.from({ length: count }, (_, n) => ({ type: 'Noted', data: { n } })),
  )
  await made.close()
  const whole = readFileSync(file)
  const reasons: string[] = []
  for (const at of placesOf(whole)) {
    const damaged = Buffer.from(whole)
    lower.copy(damaged, at)
    writeFileSync(file, damaged)
    const store = await openStore(`sqlite:${file}`, { readOnly: true })
    for await (const { reason } of store.port.faults()) reasons.push(reason)
    const read = async (size: number) => {
      const all = { direction: 'forward', upTo: count, pageSize: size } as const
      let events = 0
      for await (const page of store.port.readLog(all)) events += page.length
      return events
    }
    for (const size of [10, 500]) {
      const seen = await read(size).catch((error: { code?: unknown }) => error.code)
      expect([count, count - 1, 'STORAGE_FAILED', 'EVENT_CORRUPT']).toContain(seen)
    }
    await store.close()
  }
  expect(reasons.join('\n')).toContain('the rows lead back to 126')
})
