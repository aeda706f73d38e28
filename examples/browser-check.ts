// What the checks of the pages share: a Chromium, the example's program beside it, and the basics
// that any page must have. Nothing of it is needed to run an example by hand.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Browser, Page } from 'playwright-core'
import { type Bar, barsOf, contrastFaults, focused, structureFaults } from './in-page.js'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const PRINT_TIMEOUT_MS = 100_000

/** The Chromium of this machine: CHROMIUM, or the first that PATH has. */
export function chromiumPath(): string | undefined {
  const { CHROMIUM, PATH = '' } = process.env
  if (CHROMIUM !== undefined) return CHROMIUM
  const folders = PATH.split(delimiter).filter((folder) => folder !== '')
  const places = folders.flatMap((folder) => names.map((name) => join(folder, name)))
  return places.find((place) => {
    try {
      accessSync(place, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** A browser with one page, and everything that went wrong or went elsewhere in it. */
export interface OpenPage {
  readonly page: Page
  /** Errors of scripts, refused resources, and requests to other hosts than this machine. */
  readonly faults: string[]
  [Symbol.asyncDispose](): Promise<void>
}

/** Opens Chromium. Throws where there is none. */
export async function openPage(): Promise<OpenPage> {
  const executablePath = chromiumPath()
  if (executablePath === undefined) throw new Error(noChromium)
  const { chromium } = await import('playwright-core')
  const browser: Browser = await chromium.launch({
    executablePath,
    // Containers give little room in /dev/shm.
    args: ['--disable-dev-shm-usage'],
  })
  const viewport = { width: 1000, height: 900 }
  const page = await browser.newPage({ viewport, reducedMotion: 'reduce', colorScheme: 'light' })
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('request', (request) => {
    const { protocol, hostname } = new URL(request.url())
    if (protocol !== 'data:' && hostname !== '127.0.0.1') faults.push(`asks ${request.url()}`)
  })
  return { page, faults, [Symbol.asyncDispose]: () => browser.close() }
}

/** Why a page cannot be checked here. */
export const noChromium =
  'there is no chromium in PATH; install it (Debian: apt-get install chromium), or set CHROMIUM'

/** A program of an example that serves a page. */
export interface RunningProgram {
  readonly url: string
  /** Waits until it prints something, and gives what matches. Throws when it ends before. */
  printed(what: RegExp): Promise<string>
  /** Ends it as Ctrl-C does, and waits until it has. Throws when it ends badly. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Starts a program and waits for the url that it prints. */
export async function startProgram(main: string, args: readonly string[]): Promise<RunningProgram> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const printed = async (what: RegExp): Promise<string> => {
    const late = setTimeout(() => child.kill('SIGKILL'), PRINT_TIMEOUT_MS)
    try {
      for (;;) {
        const { value, done } = await lines.next()
        if (done === true) throw new Error(`${main} has ended, and has not printed ${what}`)
        const [match] = what.exec(value) ?? []
        if (match !== undefined) return match
      }
    } finally {
      clearTimeout(late)
    }
  }
  const stop = async () => {
    child.kill('SIGTERM')
    const [code] = await ended
    if (code !== 0) throw new Error(`${main} ended with ${code}`)
  }
  let stopped: Promise<void> | undefined
  const stopOnce = () => {
    stopped ??= stop()
    return stopped
  }
  const url = await printed(/http:\S+/)
  return { url, printed, stop: stopOnce, [Symbol.asyncDispose]: stopOnce }
}

/**
 * What a page lacks of what everybody needs: a language, a title, one heading, names for pictures
 * and controls, heads in tables, text that can be read in light and in dark, and a visible focus
 * on all that the keyboard reaches.
 */
export async function pageFaults(page: Page): Promise<string[]> {
  const faults = await page.evaluate(structureFaults)
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    for (const fault of await page.evaluate(contrastFaults)) faults.push(`${colorScheme}: ${fault}`)
  }
  await page.emulateMedia({ colorScheme: 'light' })
  return [...faults, ...(await keyboardFaults(page))]
}

/** Draws the page into the file that PICTURE names, for the documentation. */
export async function takePicture(page: Page): Promise<void> {
  const { PICTURE } = process.env
  if (PICTURE !== undefined) await page.screenshot({ path: PICTURE })
}

/**
 * The bars of a chart as they are drawn, one text each: label and values. Throws when a bar is not
 * as high as its value says, to a pixel.
 */
export async function chartBars(page: Page, id: string): Promise<string[]> {
  const bars: readonly Bar[] = await page.evaluate(barsOf, id)
  const [tallest] = bars.toSorted((a, b) => b.value - a.value)
  const scale = tallest === undefined || tallest.value === 0 ? 0 : tallest.height / tallest.value
  for (const { label, value, height } of bars) {
    if (Math.abs(height - value * scale) <= 1) continue
    throw new Error(`the bar of ${label} is ${height} high for ${value}`)
  }
  const byLabel = Map.groupBy(bars, ({ label }) => label)
  return [...byLabel].map(([label, found]) => `${label} ${found.map((b) => b.value).join('/')}`)
}

async function keyboardFaults(page: Page): Promise<string[]> {
  const wanted = await page.locator('summary, select, button, input, a[href]').count()
  const reached = new Set<string>()
  const faults: string[] = []
  // Two more than there are: between the last and the first the focus leaves the page.
  for (let presses = 0; presses < wanted + 2; presses++) {
    await page.keyboard.press('Tab')
    const { what, isSeen } = await page.evaluate(focused)
    if (what === undefined) continue
    reached.add(what)
    if (!isSeen) faults.push(`no focus is seen on ${what}`)
  }
  if (reached.size < wanted) faults.push(`Tab reaches ${[...reached]}, which are not ${wanted}`)
  return faults
}
