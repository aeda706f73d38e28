import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { siteFaults } from './site.ts'

function site(pages: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-site-'))
  for (const [name, html] of Object.entries(pages)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), html)
  }
  return folder
}

test('a site whose links lead somewhere is whole', () => {
  const index = '<a href="/guide/start#top">x</a> <a href="https://example.org">y</a>'
  const start = '<a class="x" href="./">up</a> <a href="../">top</a> <img src="/a%20b.png">'
  const pages = { 'index.html': index, 'guide/index.html': '', 'guide/start.html': start }
  expect(siteFaults(site({ ...pages, 'a b.png': 'x' }))).toEqual([])
})

test('links that lead nowhere, out of the site or load from elsewhere are found', () => {
  const html =
    '<a href="/gone">x</a><a href="../../etc/passwd">y</a><script src="//cdn.example/x.js"></script>' +
    '<link rel="stylesheet" href="https://cdn.example/x.css">'
  expect(siteFaults(site({ 'index.html': html }))).toEqual([
    'index.html links to /gone, which is not there',
    'index.html links to ../../etc/passwd, which is not there',
    'index.html loads //cdn.example/x.js from elsewhere',
    'index.html loads https://cdn.example/x.css from elsewhere',
  ])
})
