// The check of the page: its program as it is, a Chromium, and the same figures from the file by
// other means. Needs Chromium; see the README.
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { chartBars, openPage, pageFaults, startProgram, takePicture } from '../browser-check.ts'
import { countedFrom, type Rows } from './counted.ts'

const file = join(import.meta.dirname, '../data/flights-2013-01.ndjson.gz')
await using browser = await openPage()
const { page, faults } = browser
await using program = await startProgram(join(import.meta.dirname, 'main.ts'), ['--port', '0'])
await page.goto(program.url)

const position = (await program.printed(/\d+$/)).trim()
// Nobody loads the page again: it finds by itself what has come since.
await page.locator('#counted', { hasText: new RegExp(`^${position}$`) }).waitFor()
console.log(await page.title())
const expected = await countedFrom(file)

console.log('\nMean minutes late, departure and arrival:')
compare('the table of carriers', expected.carriers, await tableRows('carriers'))
compare('its chart', texts(expected.carriers), await chartBars(page, 'carriers'))
for (const line of texts(expected.carriers)) console.log(`  ${line}`)

for (const carrier of [undefined, 'EV', 'HA'] as const) {
  await choose(carrier)
  const { flights, cancelled, delay, days } = expected.of(carrier)
  const numbers = [flights, cancelled, delay].map((number) => number.toLocaleString('en'))
  const [planned, not, late] = numbers
  console.log(`\n${carrier ?? 'All'}: ${planned} flights, ${not} cancelled, ${late} minutes late`)
  const shown = await Promise.all(
    ['#flights', '#cancelled', '#delay'].map((id) => page.textContent(id)),
  )
  compare('the head', numbers, shown)
  compare('the table of days', days, await tableRows('days'))
  compare('its chart', texts(days), await chartBars(page, 'days'))
}

console.log('\nFor everybody, in light and in dark, by keyboard:')
await choose()
await takePicture(page)
const found = [...(await pageFaults(page)), ...faults]
console.log(`  faults: ${found.join('; ') || 'none'}`)

/** Chooses a carrier as people without a mouse do. */
async function choose(carrier = ''): Promise<void> {
  const list = page.locator('#carrier')
  await list.focus()
  await page.keyboard.press('Home')
  const presses = await list.locator('option').count()
  for (let n = 0; n < presses && (await list.inputValue()) !== carrier; n++) {
    await page.keyboard.press('ArrowDown')
  }
}

async function tableRows(id: string): Promise<string[][]> {
  const rows = await page.locator(`#${id}-table tbody tr`).all()
  return Promise.all(rows.map((row) => row.locator('th, td').allTextContents()))
}

function texts(rows: Rows): string[] {
  return rows.map(([label, ...values]) => `${label} ${values.join('/')}`)
}

function compare(what: string, wanted: Rows | string[], shown: unknown): void {
  const words = JSON.parse(JSON.stringify(wanted), (_key, value) =>
    typeof value === 'number' ? String(value) : value,
  )
  if (!isDeepStrictEqual(words, shown)) {
    throw new Error(`${what} differs from the file: ${JSON.stringify({ wanted: words, shown })}`)
  }
  console.log(`  ${what} says the same as the file`)
}
