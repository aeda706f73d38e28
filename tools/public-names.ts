import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Comment, parseSync, type Statement } from 'oxc-parser'
import { namesInSignature } from './signature.ts'

/** A declaration at the top of a file. */
export interface Declared {
  readonly file: string
  readonly name: string
  readonly kind: 'value' | 'error' | 'type'
  /** The doc comment right above, without its stars; undefined when there is none. */
  readonly doc: string | undefined
  readonly line: number
  /** Names of types that its signature is made of. */
  readonly uses: ReadonlySet<string>
}

interface Elsewhere {
  /** Name in the other file. */
  readonly name: string
  readonly from: string
}

interface Module {
  readonly declared: Map<string, Declared>
  readonly imported: Map<string, Elsewhere>
  /** What it exports: the name outside, and where that is, here ('') or elsewhere. */
  readonly exported: Map<string, Elsewhere>
}

type Kind = Declared['kind']

function docAbove(comments: readonly Comment[], start: number, text: string): string | undefined {
  const above = comments.findLast((c) => c.end <= start)
  if (above === undefined || above.type !== 'Block' || !above.value.startsWith('*')) return
  return text.slice(above.end, start).trim() === '' ? above.value : undefined
}

/** The names that a statement declares; with the node that has the signature of each. */
function declarations(statement: Statement): [name: string, kind: Kind, node: unknown][] {
  const isExport = statement.type === 'ExportNamedDeclaration'
  const declaration = isExport ? statement.declaration : statement
  if (declaration === null) return []
  if (declaration.type === 'VariableDeclaration') {
    return declaration.declarations.flatMap((d): [string, Kind, unknown][] =>
      d.id.type === 'Identifier' ? [[d.id.name, 'value', d]] : [],
    )
  }
  if (!('id' in declaration) || declaration.id?.type !== 'Identifier') return []
  const { name } = declaration.id
  if (/^TS(Interface|TypeAlias)/.test(declaration.type)) return [[name, 'type', declaration]]
  const isError = declaration.type === 'ClassDeclaration' && name.endsWith('Error')
  return [[name, isError ? 'error' : 'value', declaration]]
}

function readModule(file: string): Module {
  const text = readFileSync(file, 'utf8')
  const { program, comments } = parseSync(file, text)
  const module: Module = { declared: new Map(), imported: new Map(), exported: new Map() }
  for (const node of program.body) {
    if (node.type === 'ImportDeclaration') {
      for (const s of node.specifiers) {
        if (s.type !== 'ImportSpecifier' || s.imported.type !== 'Identifier') continue
        module.imported.set(s.local.name, { name: s.imported.name, from: node.source.value })
      }
      continue
    }
    const line = text.slice(0, node.start).split('\n').length
    for (const [name, kind, signature] of declarations(node)) {
      // Overloads are one declaration; the first of them carries the comment.
      const before = module.declared.get(name)
      const doc = before?.doc ?? docAbove(comments, node.start, text)
      const uses = new Set([...(before?.uses ?? []), ...namesInSignature(signature)])
      module.declared.set(name, { file, name, kind, doc, line: before?.line ?? line, uses })
      if (node.type === 'ExportNamedDeclaration') module.exported.set(name, { name, from: '' })
    }
    if (node.type !== 'ExportNamedDeclaration') continue
    for (const s of node.specifiers) {
      if (s.local.type !== 'Identifier' || s.exported.type !== 'Identifier') continue
      const from = node.source?.value ?? ''
      module.exported.set(s.exported.name, { name: s.local.name, from })
    }
  }
  return module
}

/** Where the names of a source tree are declared, and which types stand in which signatures. */
export class PublicNames {
  readonly #modules = new Map<string, Module>()

  #module(file: string): Module {
    const module = this.#modules.get(file) ?? readModule(file)
    this.#modules.set(file, module)
    return module
  }

  /** All names that a file exports. */
  exportsOf(file: string): string[] {
    return [...this.#module(file).exported.keys()]
  }

  /** The declaration that a file's exported name stands for; undefined when it is none of ours. */
  find(file: string, name: string): Declared | undefined {
    const place = this.#module(file).exported.get(name)
    if (place === undefined) return
    return place.from === '' ? this.#local(file, place.name) : this.#elsewhere(file, place)
  }

  #local(file: string, name: string): Declared | undefined {
    const { declared, imported } = this.#module(file)
    const place = imported.get(name)
    return declared.get(name) ?? (place === undefined ? undefined : this.#elsewhere(file, place))
  }

  #elsewhere(file: string, { name, from }: Elsewhere): Declared | undefined {
    const other = join(dirname(file), from)
    return from.startsWith('.') && existsSync(other) ? this.find(other, name) : undefined
  }

  /** Those declarations, the types in their signatures, the types in those, and so on. */
  reachableFrom(roots: readonly Declared[]): Set<Declared> {
    const reached = new Set(roots)
    for (const { file, uses } of reached) {
      for (const name of uses) {
        const used = this.#local(file, name)
        if (used !== undefined) reached.add(used)
      }
    }
    return reached
  }
}
