import { existsSync, globSync, readFileSync, rmSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { run } from './run.ts'

const minute = 60_000
const out = '.tmp/site'

/** What is wrong with a built site: links that lead nowhere, and what it loads from elsewhere. */
export function siteFaults(folder: string): string[] {
  const faults: string[] = []
  const pages = globSync('**/*.html', { cwd: folder }).sort()
  for (const page of pages) {
    // What is shown as code is no link.
    const html = readFileSync(join(folder, page), 'utf8')
    for (const [, name, value = ''] of html.matchAll(/<[a-z][^>]*?\s(href|src)="([^"]*)"/g)) {
      const isLoaded = name === 'src' || value.endsWith('.css')
      if (/^(https?:)?\/\//.test(value)) {
        if (isLoaded) faults.push(`${page} loads ${value} from elsewhere`)
        continue
      }
      if (/^(mailto:|data:|#|$)/.test(value)) continue
      if (!leads(folder, page, value)) faults.push(`${page} links to ${value}, which is not there`)
    }
  }
  return [...new Set(faults)]
}

function leads(folder: string, page: string, link: string): boolean {
  const [path = ''] = decodeURI(link).split(/[?#]/)
  const target = path.startsWith('/') ? join(folder, path) : join(folder, dirname(page), path)
  if (relative(folder, target).startsWith('..')) return false
  return [target, `${target}.html`, join(target, 'index.html')].some(
    (file) => existsSync(file) && statSync(file).isFile(),
  )
}

/** Runs a program of the docs; what it prints counts only when it fails. */
async function step(args: readonly string[], cwd: string): Promise<string | undefined> {
  const { exitCode, output } = await run(process.execPath, args, { timeoutMs: 10 * minute, cwd })
  return exitCode === 0 ? undefined : `${args[0]} ended with code ${exitCode}\n${output}`
}

/** Generates the reference from the doc comments and builds the site from all pages. */
export async function buildSite(): Promise<string[]> {
  rmSync('docs/reference/api', { recursive: true, force: true })
  rmSync(out, { recursive: true, force: true })
  const steps = [
    [['node_modules/typedoc/bin/typedoc', '--options', 'typedoc.json'], 'docs'],
    [['node_modules/vitepress/bin/vitepress.js', 'build', 'docs'], '.'],
  ] as const
  for (const [args, cwd] of steps) {
    const fault = await step(args, cwd)
    if (fault !== undefined) return [fault]
  }
  return siteFaults(out)
}

if (import.meta.main) {
  const faults = await buildSite()
  for (const fault of faults) console.error(fault)
  const count = globSync(`${out}/**/*.html`).length
  console.log(`${count} pages in ${out}, ${faults.length} wrong`)
  process.exitCode = faults.length > 0 || count === 0 ? 1 : 0
}
