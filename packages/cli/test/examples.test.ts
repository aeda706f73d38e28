import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '../../..')
const run = promisify(execFile)
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-flights-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const node = async (file: string, ...args: string[]): Promise<string> => {
  const { stdout } = await run(process.execPath, [join(root, file), ...args], { cwd: folder })
  return stdout
}

interface Line {
  stream: string
  type: string
  data: { carrier?: string; delayMinutes?: number }
}

/** The table from the raw file, by other means than the example's: sums of columns. */
function expectedRows(): string[][] {
  const packed = readFileSync(join(root, 'examples/data/flights-2013-01.ndjson.gz'))
  const lines = gunzipSync(packed).toString().trim().split('\n')
  const events = lines.map((line) => JSON.parse(line) as Line)
  const carrierOf = new Map<string, string>()
  for (const { stream, data } of events) if (data.carrier) carrierOf.set(stream, data.carrier)
  const of = (carrier: string, type: string) =>
    events.filter((event) => event.type === type && carrierOf.get(event.stream) === carrier)
  const delays = (found: Line[]) => found.map(({ data }) => data.delayMinutes ?? Number.NaN)
  const mean = (all: number[]) => (all.reduce((sum, one) => sum + one, 0) / all.length).toFixed(2)
  return [...new Set(carrierOf.values())].sort().map((carrier) => {
    const departures = delays(of(carrier, 'FlightDeparted'))
    const arrivals = delays(of(carrier, 'FlightArrived'))
    const flights = of(carrier, 'FlightScheduled').length
    const cancelled = of(carrier, 'FlightCancelled').length
    const worst = Math.max(...departures, ...arrivals)
    return [carrier, `${flights}`, `${cancelled}`, mean(departures), mean(arrivals), `${worst}`]
  })
}

function rowsOf(output: string): string[][] {
  const rows = output.split('\n').map((line) => line.trim().split(/\s+/))
  return rows.filter((row) => row.length === 6 && /^[A-Z0-9]{2}$/.test(row[0] ?? ''))
}

describe('the flights example', () => {
  it('prints the table that the raw file gives, and the same one again', async () => {
    const expected = expectedRows()
    const first = await node('examples/flights/main.ts', 'f.db')
    expect(rowsOf(first)).toEqual(expected)
    expect(first).toMatch(/import: 80,491 events stored in \d+\.\d\d seconds, [\d,]+ events\/s/)
    expect(first).toMatch(/fold: {3}80,491 events of 27,004 flights in \d+\.\d\d seconds/)
    const second = await node('examples/flights/main.ts', 'f.db')
    expect(rowsOf(second)).toEqual(expected)
    expect(second).toContain('the events are already there')
  })

  it('suggests commands that work', async () => {
    const output = await node('examples/flights/main.ts', 'f.db')
    const commands = [...output.matchAll(/^ {2}npx eventuali (.+)$/gm)].map(([, args]) => args)
    expect(commands.length).toBeGreaterThanOrEqual(5)
    for (const args of commands) {
      const shown = await node('packages/eventuali/bin/eventuali.js', ...(args ?? '').split(' '))
      expect(shown).not.toBe('')
    }
  })
})

it('the quick start is the example of the README', async () => {
  const program = readFileSync(join(root, 'examples/quick-start/main.ts'), 'utf8')
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  expect(readme).toContain(program.slice(program.indexOf('import')).trim())
  expect(await node('examples/quick-start/main.ts')).toMatch(/^order-\S+ OrderPlaced \{/)
})
