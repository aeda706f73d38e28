import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { McpGuide } from '@eventuali/server'
import { Refused } from './exit-codes.ts'

/** Beside this package where it is installed, in the documentation in the workspace. */
const folders = [
  join(import.meta.dirname, '../guide'),
  join(import.meta.dirname, '../../../docs/guide'),
]

/** The page that has a row for every command. */
const COMMANDS_PAGE = 'command-line'

/** The pages of the guide, as they come with the command line. */
export class Guide {
  readonly #folder: string

  /** Throws Refused when they are not there. */
  constructor() {
    const folder = folders.find((one) => existsSync(one))
    if (folder === undefined) {
      throw new Refused('the guide is not beside the command line; install @eventuali/cli anew')
    }
    this.#folder = folder
  }

  /** Names of the pages, and the first heading of each. */
  get pages(): readonly { readonly name: string; readonly title: string }[] {
    return readdirSync(this.#folder)
      .filter((file) => file.endsWith('.md'))
      .map((file) => file.slice(0, -'.md'.length))
      .sort()
      .map((name) => ({ name, title: /^# (.+)$/m.exec(this.#read(name))?.[1] ?? name }))
  }

  has(page: string): boolean {
    return /^[a-z-]+$/.test(page) && existsSync(join(this.#folder, `${page}.md`))
  }

  page(name: string): string {
    return this.#read(name)
  }

  /** For the server of models; undefined when it is not there: what else it does goes without. */
  static forModels(): McpGuide | undefined {
    if (!folders.some((one) => existsSync(one))) return undefined
    const guide = new Guide()
    return { pages: () => guide.pages, page: (name) => guide.page(name) }
  }

  /** What the guide says of a command: its section, and the page or part that its row points to. */
  ofCommand(name: string): readonly string[] {
    const text = this.#read(COMMANDS_PAGE)
    const own = sectionOf(text, name)
    const row = text.split('\n').find((line) => new RegExp(`^\\| \`${name}[ \`]`).test(line))
    const [, page = '', anchor] = /\]\(([a-z-]+)\.md(?:#([^)]+))?\)/.exec(row ?? '') ?? []
    const there = this.has(page) ? this.#read(page) : undefined
    const linked = there !== undefined && anchor !== undefined ? sectionOf(there, anchor) : there
    return [own, linked].filter((part) => part !== undefined)
  }

  /** What the page of errors says of a code; undefined when there is none. */
  ofError(code: string): string | undefined {
    const file = [join(this.#folder, 'errors.md'), join(this.#folder, '../errors.md')].find((one) =>
      existsSync(one),
    )
    if (file === undefined) return undefined
    const text = readFileSync(file, 'utf8')
    const row = text.split('\n').find((line) => line.includes(`[\`${code}\`]`))
    const section = sectionOf(text, code.toLowerCase())
    if (row === undefined || section === undefined) return undefined
    const [symptom = '', , className = '', retry = '', advice = ''] = cellsOf(row)
    const retried = retry === 'yes' ? 'the same call may succeed' : 'not as it is'
    return `${section}\nSymptom: ${symptom}\nClass: ${className}\nRetry: ${retried}\nWhat to do: ${advice}\n`
  }

  #read(page: string): string {
    return readFileSync(join(this.#folder, `${page}.md`), 'utf8')
  }
}

const cellsOf = (row: string): readonly string[] =>
  row
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())

/** As a forge makes an anchor of a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-')

/** From a heading to the next one that is no deeper; undefined when there is no such heading. */
export function sectionOf(markdown: string, anchor: string): string | undefined {
  const lines = markdown.split('\n')
  let from = -1
  let depth = 0
  let isCode = false
  for (const [at, line] of lines.entries()) {
    if (/^\s*```/.test(line)) isCode = !isCode
    const [, marks = '', heading = ''] = (isCode ? null : /^(#{1,6})\s+(.+)$/.exec(line)) ?? []
    if (marks === '') continue
    if (from >= 0 && marks.length <= depth) return `${lines.slice(from, at).join('\n').trimEnd()}\n`
    if (from < 0 && anchorOf(heading) === anchor) {
      from = at
      depth = marks.length
    }
  }
  return from < 0 ? undefined : `${lines.slice(from).join('\n').trimEnd()}\n`
}
