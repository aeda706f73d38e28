import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DefaultTheme } from 'vitepress'

/** Pages in reading order. One that is named nowhere stands under `More`, so that none is lost. */
const order: readonly (readonly [text: string, pages: readonly string[]])[] = [
  ['Start', ['guide/quick-start', 'guide/concepts', 'guide/stores', 'guide/examples']],
  ['Tutorial', ['tutorial/*']],
  [
    'Write',
    ['events', 'aggregates', 'decisions', 'store', 'testing', 'codecs', 'sql'].map(inGuide),
  ],
  [
    'Read',
    [
      ...['subscriptions', 'consumer-groups', 'dead-letters', 'projections', 'read-models'],
      ...['rebuilds', 'processes', 'time-travel', 'replay', 'batch-processing'],
    ].map(inGuide),
  ],
  [
    'Keep',
    ['evolving-events', 'schemas', 'migrating-events', 'snapshots', 'import-export'].map(inGuide),
  ],
  [
    'Operate',
    [
      ...['command-line', 'configuration', 'operating', 'backup', 'server', 'mcp', 'verify'],
      ...['tuning', 'caching', 'replicas', 'large-stores', 'upgrading'],
    ].map(inGuide),
  ],
  ['Help', ['best-practices', 'troubleshooting', 'faq', 'comparison', 'coming-from'].map(inGuide)],
  ['Coming from', ['guide/coming-from/*']],
  ['Reference', ['errors', 'adapters', 'performance', 'reliability', 'reference/*']],
  ['Decisions', ['adr/*']],
]

function inGuide(name: string): string {
  return `guide/${name}`
}

function pagesIn(root: string, folder: string): string[] {
  const path = join(root, folder)
  if (!existsSync(path)) return []
  const names = readdirSync(path).filter((name) => name.endsWith('.md') && name !== 'README.md')
  const pages = names.sort().map((name) => `${folder}/${name.slice(0, -3)}`)
  return existsSync(join(path, 'README.md')) ? [`${folder}/`, ...pages] : pages
}

function titleOf(root: string, page: string): string | undefined {
  const file = join(root, page.endsWith('/') ? `${page}README.md` : `${page}.md`)
  if (!existsSync(file)) return undefined
  return /^# (.+)$/m.exec(readFileSync(file, 'utf8'))?.[1]?.replaceAll('`', '')
}

/** The pages under `root` by topic, with the titles that they have. */
export function sections(root: string): DefaultTheme.SidebarItem[] {
  const left = new Set(['guide', 'tutorial', 'adr', 'reference'].flatMap((f) => pagesIn(root, f)))
  const found = order.map(([text, named]) => {
    const items: { text: string; link: string }[] = []
    for (const name of named) {
      for (const page of name.endsWith('/*') ? pagesIn(root, name.slice(0, -2)) : [name]) {
        const title = titleOf(root, page)
        left.delete(page)
        if (title !== undefined) items.push({ text: title, link: `/${page}` })
      }
    }
    if (text === 'Reference') items.unshift({ text: 'API reference', link: '/reference/api/' })
    return { text, collapsed: text === 'Decisions', items }
  })
  const more = [...left].map((page) => ({ text: titleOf(root, page) ?? page, link: `/${page}` }))
  if (more.length > 0) found.push({ text: 'More', collapsed: false, items: more })
  return found.filter(({ items }) => items.length > 0)
}
