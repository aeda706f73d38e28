// The check of the dashboard: its program as it is, a Chromium, and this one, which appends to the
// same store. Needs Chromium; see the README.
import { join } from 'node:path'
import { openStore } from 'eventuali'
import type { Response } from 'playwright-core'
import { chartBars, openPage, pageFaults, startProgram, takePicture } from '../browser-check.ts'
import { freshStore } from '../fresh-store.ts'
import { bikeEvents } from './city.ts'

const main = join(import.meta.dirname, 'main.ts')
const url = await freshStore('bikes')
await using store = await openStore(url, { events: [bikeEvents] })
await using browser = await openPage()
const { page, faults } = browser

const rented = (bike: number, station: string, minute: string) =>
  store.append(`bike-${bike}`, {
    ...bikeEvents.BikeRented({ station }),
    time: new Date(`2026-05-01T${minute}:00Z`),
  })
const returned = (bike: number, station: string, minute: string, minutes: number) =>
  store.append(`bike-${bike}`, {
    ...bikeEvents.BikeReturned({ station, minutes }),
    time: new Date(`2026-05-01T${minute}:00Z`),
  })

/** What the page was answered: where it stands, and from where feeds go on. */
const asked: Promise<string>[] = []
page.on('response', (response) => {
  const { pathname, searchParams } = new URL(response.url())
  if (pathname.startsWith('/v1/projections')) asked.push(Promise.resolve('the read model'))
  if (pathname === '/v1/feed') asked.push(feedWords(response, searchParams))
})

const first = await startProgram(main, ['--quiet', '--port', '0', '--store', url])
const { port } = new URL(first.url)
await page.goto(first.url)
await live()
console.log(`${await page.title()}: nothing has happened`)
await show({ out: 0 })

await rented(1, 'Harbour', '08:00')
await rented(2, 'Harbour', '08:00')
await rented(3, 'Park', '08:01')
await returned(1, 'Market', '08:07', 7)
console.log('\nThree bikes are rented, one comes back:')
await show({ out: 2 })
const before = await picture()

await rented(1, 'Market', '08:09')
console.log('\nOne of them goes out again; the chart is drawn again:')
await show({ out: 3 })
console.log(`  the picture is another one: ${(await picture()) !== before}`)

await page.goto('about:blank')
await returned(2, 'Park', '08:20', 20)
await returned(3, 'Park', '08:21', 20)
await page.goto(first.url)
console.log('\nThe tab was away for two events:')
await show({ out: 1 })
await page.reload()
await live()
console.log('\nThe page is loaded again:')
await show({ out: 1 })

await page.evaluate(() => Object.assign(globalThis, { isSamePage: true }))
await first.stop()
await page.getByText('interrupted, and tried again').waitFor()
await returned(1, 'Harbour', '08:30', 21)
console.log('\nThe server is away for one event, and comes back; nobody reloads:')
await using second = await startProgram(main, ['--quiet', '--port', port, '--store', url])
await live()
await show({ out: 0 })
console.log(`  it is the same page: ${await page.evaluate(() => 'isSamePage' in globalThis)}`)

await takePicture(page)

console.log('\nFor everybody, in light and in dark, by keyboard:')
await page.getByText('Stations as a table').focus()
await page.keyboard.press('Enter')
const rows = await page.locator('#stations-table tbody tr').allInnerTexts()
console.log(`  the table: ${rows.map((row) => row.replaceAll('\t', ' ')).join(', ')}`)
const found = [...(await pageFaults(page)), ...faults]
console.log(`  faults: ${found.join('; ') || 'none'}`)
await page.goto('about:blank')
await second.stop()

async function feedWords(response: Response, query: URLSearchParams): Promise<string> {
  const header = await response.request().headerValue('last-event-id')
  const place = (id: string) => `behind event ${id.split(':').at(-1)}`
  const id = query.get('lastEventId')
  if (header !== null) return `the feed ${place(header)}, by Last-Event-ID`
  return id === null
    ? `the feed after ${query.get('after')}`
    : `the feed ${place(id)}, by lastEventId`
}

/** The pixels of a chart. */
function picture(): Promise<string> {
  return page.locator('#stations').evaluate((canvas) => canvas.toDataURL())
}

async function live(): Promise<void> {
  await page.locator('#status', { hasText: /^live$/ }).waitFor()
}

/** Waits until the page shows so many bikes that are out, and prints what else it shows. */
async function show(wanted: { out: number }): Promise<void> {
  await page.locator('#out', { hasText: new RegExp(`^${wanted.out}$`) }).waitFor()
  const [rides, mean] = [await page.textContent('#rides'), await page.textContent('#mean')]
  console.log(`  out ${wanted.out}, rides ${rides}, minutes a ride ${mean}`)
  console.log(`  chart by station: ${(await chartBars(page, 'stations')).join(', ')}`)
  console.log(`  chart by minute: ${(await chartBars(page, 'minutes')).join(', ')}`)
  const words = await Promise.all(asked.splice(0))
  console.log(`  asked for: ${words.join('; ') || 'nothing more'}`)
}
