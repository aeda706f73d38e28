import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Comment, parseSync, type Statement } from 'oxc-parser'
import type { Complaint } from './tidy-source.ts'

type Kind = 'value' | 'error' | 'type'

interface Declared {
  readonly kind: Kind
  /** The doc comment right above, without its stars; undefined when there is none. */
  readonly doc: string | undefined
  readonly line: number
}

interface Reexport {
  /** Name in the other file. */
  readonly name: string
  readonly from: string
}

interface Module {
  readonly declared: Map<string, Declared>
  readonly reexported: Map<string, Reexport>
}

type Named = Extract<Statement, { type: 'ExportNamedDeclaration' }>

function namesOf(node: Named): [name: string, kind: Kind][] {
  const declaration = node.declaration
  if (declaration === null) return []
  if (declaration.type === 'VariableDeclaration') {
    return declaration.declarations.flatMap((d): [string, Kind][] =>
      d.id.type === 'Identifier' ? [[d.id.name, 'value']] : [],
    )
  }
  if (!('id' in declaration)) return []
  const id = declaration.id
  if (id === null || id.type !== 'Identifier') return []
  if (declaration.type === 'FunctionDeclaration' || declaration.type === 'TSDeclareFunction') {
    return [[id.name, 'value']]
  }
  if (declaration.type !== 'ClassDeclaration') return [[id.name, 'type']]
  return [[id.name, id.name.endsWith('Error') ? 'error' : 'value']]
}

function docAbove(comments: readonly Comment[], start: number, text: string): string | undefined {
  const above = comments.findLast((c) => c.end <= start)
  if (above === undefined || above.type !== 'Block' || !above.value.startsWith('*')) return
  return text.slice(above.end, start).trim() === '' ? above.value : undefined
}

function readModule(file: string): Module {
  const text = readFileSync(file, 'utf8')
  const { program, comments } = parseSync(file, text)
  const declared = new Map<string, Declared>()
  const reexported = new Map<string, Reexport>()
  const imported = new Map<string, Reexport>()
  for (const node of program.body) {
    if (node.type === 'ImportDeclaration') {
      for (const s of node.specifiers) {
        if (s.type !== 'ImportSpecifier' || s.imported.type !== 'Identifier') continue
        imported.set(s.local.name, { name: s.imported.name, from: node.source.value })
      }
    }
    if (node.type !== 'ExportNamedDeclaration') continue
    const line = text.slice(0, node.start).split('\n').length
    for (const [name, kind] of namesOf(node)) {
      // The first of overloads carries the comment.
      if (declared.get(name)?.doc !== undefined) continue
      declared.set(name, { kind, doc: docAbove(comments, node.start, text), line })
    }
    for (const s of node.specifiers) {
      if (s.local.type !== 'Identifier' || s.exported.type !== 'Identifier') continue
      const other = { name: s.local.name, from: node.source?.value ?? '' }
      reexported.set(
        s.exported.name,
        node.source === null ? (imported.get(other.name) ?? other) : other,
      )
    }
  }
  return { declared, reexported }
}

function check(file: string, name: string, found: Declared): Complaint[] {
  const at = { file, line: found.line, rule: 'docstring' }
  if (found.doc === undefined) return [{ ...at, what: `public ${name} has no doc comment` }]
  if (found.kind !== 'value' || /@example\b[\s\S]*```ts/.test(found.doc)) return []
  return [{ ...at, what: `public ${name} has no @example` }]
}

/**
 * Follows every name that an entry lets out to where it is declared, and asks for a doc comment
 * there; for functions, constants and classes with an example too. Errors have docs/errors.md
 * instead of examples, and interfaces are shown by the functions that take them.
 */
export function checkPublicExports(entries: readonly string[]): Complaint[] {
  const modules = new Map<string, Module>()
  const complaints = new Map<string, Complaint>()
  const follow = (file: string, name: string): void => {
    const module = modules.get(file) ?? readModule(file)
    modules.set(file, module)
    const found = module.declared.get(name)
    const other = module.reexported.get(name)
    if (found !== undefined) {
      for (const c of check(file, name, found)) complaints.set(`${file} ${name}`, c)
    } else if (other?.from.startsWith('.')) {
      follow(join(dirname(file), other.from), other.name)
    }
  }
  for (const entry of entries) {
    if (!existsSync(entry)) continue
    const module = readModule(entry)
    for (const name of [...module.declared.keys(), ...module.reexported.keys()]) follow(entry, name)
  }
  return [...complaints.values()]
}
