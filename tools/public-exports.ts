import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { errorPageClasses } from './error-table.ts'
import { type Declared, PublicNames } from './public-names.ts'
import type { Complaint } from './tidy-source.ts'

interface PackageFile {
  readonly exports?: Readonly<Record<string, unknown>>
}

/** The source files behind the `exports` of a package. */
export function entriesOf(folder: string, manifest: PackageFile): string[] {
  return Object.values(manifest.exports ?? {}).flatMap((target) => {
    if (typeof target !== 'object' || target === null || !('types' in target)) return []
    return [`${folder}/${String(target.types).slice(2)}`].map((built) =>
      built.replace('/dist/', '/src/').replace(/\.d\.ts$/, '.ts'),
    )
  })
}

/** The source files behind the entries of all packages. */
export function publicEntries(): string[] {
  return globSync('packages/*/package.json').flatMap((file) =>
    entriesOf(dirname(file), JSON.parse(readFileSync(file, 'utf8')) as PackageFile),
  )
}

/** The example of a doc comment; undefined when it has none. */
function exampleOf({ doc = '' }: Declared): string | undefined {
  return /@example\b[\s\S]*?```ts[\s\S]*?```/.exec(doc)?.[0]
}

/** What a store hands out is used by a name of its own, not by its class's: any case will do. */
function uses(example: string, { name, kind }: Declared): boolean {
  const word = `(?<![\\w$])${name.replaceAll('$', '\\$')}(?![\\w$])`
  return new RegExp(word, kind === 'value' ? 'i' : '').test(example)
}

function fault(found: Declared, errorClasses: ReadonlySet<string>): string | undefined {
  if (found.doc === undefined) return 'has no doc comment'
  const example = exampleOf(found)
  if (example === undefined) {
    if (found.kind === 'type') return
    if (found.kind === 'value') return 'has no @example'
    return errorClasses.has(found.name) ? undefined : 'has no @example, nor a row in docs/errors.md'
  }
  return uses(example, found) ? undefined : 'has an @example that does not use it'
}

/**
 * Follows every name that an entry lets out to where it is declared. Each needs a doc comment
 * there. Functions, constants and classes need an example too that uses them, but for errors with
 * a row on the page about errors. A type is shown by an example that names it, or by one of what
 * it belongs to: it stands in the signature of a value, or in another type that is shown.
 */
export function checkPublicExports(entries: readonly string[], errorPage: string): Complaint[] {
  const tree = new PublicNames()
  const errorClasses = errorPageClasses(errorPage)
  const complaints: Complaint[] = []
  const complain = (file: string, line: number, what: string): void => {
    complaints.push({ file, line, rule: 'docstring', what })
  }
  const found = new Set<Declared>()
  for (const entry of entries) {
    if (!existsSync(entry)) {
      complain(entry, 1, 'an entry without a source')
      continue
    }
    for (const name of tree.exportsOf(entry)) {
      const declared = tree.find(entry, name)
      if (declared === undefined) complain(entry, 1, `public ${name} leads nowhere`)
      else found.add(declared)
    }
  }
  const examples = [...found].flatMap((declared) => exampleOf(declared) ?? [])
  const isRoot = (declared: Declared): boolean =>
    declared.kind !== 'type' || examples.some((example) => uses(example, declared))
  const shown = tree.reachableFrom([...found].filter(isRoot))
  for (const declared of found) {
    const { file, line, name } = declared
    const wrong = fault(declared, errorClasses)
    if (wrong !== undefined) complain(file, line, `public ${name} ${wrong}`)
    else if (!shown.has(declared)) complain(file, line, `no example shows the type ${name}`)
  }
  return complaints
}
