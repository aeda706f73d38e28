import { statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { defineConfig } from 'vitepress'
import { sections } from './sections.ts'

const root = resolve(import.meta.dirname, '..')

/** Whether a link of a page leads to a file of the repository that is no page of the site. */
function leavesSite(page: string, href: string): boolean {
  if (/^[a-z]+:|^#|^\//.test(href)) return false
  const [path = ''] = href.split('#')
  const target = resolve(root, dirname(page), path)
  const inSite = relative(root, target)
  const found = statSync(join(root, inSite), { throwIfNoEntry: false })
  const isPage = found !== undefined && (found.isDirectory() || inSite.endsWith('.md'))
  return inSite.startsWith('..') || !(inSite === '' || isPage)
}

export default defineConfig({
  title: 'Eventuali',
  description: 'Event sourcing for TypeScript: one SQLite file to Postgres, with the same code',
  lang: 'en',
  cleanUrls: true,
  lastUpdated: false,
  outDir: '../.tmp/site',
  cacheDir: '../.tmp/vitepress',
  rewrites: (page) => page.replace(/(^|\/)README\.md$/, '$1index.md'),
  themeConfig: {
    // Built into the pages: searching asks no server.
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Quick start', link: '/guide/quick-start' },
      { text: 'Guide', link: '/guide/concepts' },
      { text: 'Reference', link: '/reference/api/' },
      { text: 'Decisions', link: '/adr/' },
    ],
    sidebar: sections(root),
  },
  markdown: {
    config: (markdown) => {
      // Files of the repository that are no pages are named, not linked: the site is whole alone.
      const render = markdown.renderer.rules.link_open
      markdown.renderer.rules.link_open = (tokens, index, options, env, self) => {
        const token = tokens[index]
        const href = token?.attrGet('href') ?? ''
        if (token !== undefined && leavesSite(env.relativePath ?? '', decodeURI(href))) {
          token.attrs = [['title', `${href.replace(/^(\.\.\/)+/, '')} in the repository`]]
          return self.renderToken(tokens, index, options)
        }
        // The site serves a README as the index of its folder, and does not look it up by its name.
        token?.attrSet('href', href.replace(/^(?![a-z]+:)((?:.*\/)?)README\.md(?=#|$)/, './$1'))
        return (
          render?.(tokens, index, options, env, self) ?? self.renderToken(tokens, index, options)
        )
      }
    },
  },
})
