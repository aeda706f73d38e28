import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** A fenced block of code. */
export interface CodeBlock {
  /** The words after the fence: `ts`, `ts run`, `ts continue`, `sh` … */
  readonly info: readonly string[]
  /** Line of its first line of code, counted from 1. */
  readonly line: number
  readonly code: readonly string[]
}

/** All fenced blocks of a page. */
export function codeBlocks(markdown: string): CodeBlock[] {
  const blocks: CodeBlock[] = []
  let open: { info: string[]; line: number; code: string[] } | undefined
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = /^\s*(?:\*\s?)?```(.*)$/.exec(line)
    if (fence === null) open?.code.push(line)
    else if (open !== undefined) {
      blocks.push(open)
      open = undefined
    } else {
      const info = (fence[1] ?? '').trim().split(/\s+/)
      open = { info, line: index + 2, code: [] }
    }
  }
  return blocks
}

/** The `@example` blocks of a source file's doc comments, with their lines in that file. */
export function exampleBlocks(source: string): CodeBlock[] {
  return codeBlocks(source).map((block) => ({
    ...block,
    code: block.code.map((line) => line.replace(/^\s*\* ?/, '')),
  }))
}

function withoutCode(markdown: string): string {
  let inside = false
  return markdown
    .split('\n')
    .map((line) => {
      if (/^\s*```/.test(line)) inside = !inside
      return inside ? '' : line.replace(/`[^`]*`/g, '')
    })
    .join('\n')
}

/** The anchors that a page's headings make, as forges spell them. */
export function anchors(markdown: string): Set<string> {
  const found = new Set<string>()
  let inside = false
  for (const line of markdown.split('\n')) {
    if (/^\s*```/.test(line)) inside = !inside
    const heading = inside ? null : /^#{1,6}\s+(.+)$/.exec(line)
    if (heading === null) continue
    const text = (heading[1] ?? '').toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '')
    found.add(text.trim().replace(/\s/g, '-'))
  }
  return found
}

/**
 * Links of a page that lead nowhere. Addresses outside the tree are not visited: a test must not
 * depend on the network.
 */
export function brokenLinks(
  file: string,
  markdown: string,
  read: (path: string) => string,
): { readonly line: number; readonly link: string }[] {
  const broken: { line: number; link: string }[] = []
  for (const [index, line] of withoutCode(markdown).split('\n').entries()) {
    for (const match of line.matchAll(/\]\(([^)\s]+)[^)]*\)/g)) {
      const link = match[1] ?? ''
      if (/^[a-z]+:/.test(link)) continue
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? file : join(dirname(file), path)
      const gone = !existsSync(target) && path !== ''
      const lost = anchor !== undefined && !gone && target.endsWith('.md')
      const text = lost ? (path === '' ? markdown : read(target)) : ''
      if (gone || (lost && !anchors(text).has(anchor))) broken.push({ line: index + 1, link })
    }
  }
  return broken
}
