import { parseSync, Visitor } from 'oxc-parser'

/** One error as the code declares it. */
export interface ErrorClass {
  readonly name: string
  readonly code: string
  readonly retryable: boolean
}

/** The classes with a `code` in a source file. */
export function errorClasses(file: string, source: string): ErrorClass[] {
  const found: ErrorClass[] = []
  new Visitor({
    ClassDeclaration(node) {
      const values = new Map<string, unknown>()
      for (const member of node.body.body) {
        if (member.type !== 'PropertyDefinition' || member.key.type !== 'Identifier') continue
        if (member.value?.type === 'Literal') values.set(member.key.name, member.value.value)
      }
      const code = values.get('code')
      if (node.id === null || typeof code !== 'string') return
      found.push({ name: node.id.name, code, retryable: values.get('retryable') === true })
    },
  }).visit(parseSync(file, source).program)
  return found
}

/** A row of the table in docs/errors.md. */
interface Row {
  readonly cells: readonly string[]
  readonly line: number
}

function rows(markdown: string): Map<string, Row[]> {
  const found = new Map<string, Row[]>()
  for (const [index, line] of markdown.split('\n').entries()) {
    if (!line.startsWith('|')) continue
    const cells = line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim())
    const code = /`([A-Z][A-Z0-9_]+)`/.exec(cells[1] ?? '')?.[1]
    if (code === undefined) continue
    found.set(code, [...(found.get(code) ?? []), { cells, line: index + 1 }])
  }
  return found
}

/** The classes that have a row in docs/errors.md; `errorPageFaults` checks what stands in it. */
export function errorPageClasses(markdown: string): Set<string> {
  const named = [...rows(markdown).values()].flat().map(({ cells }) => cells[2] ?? '')
  return new Set(named.map((cell) => cell.replaceAll('`', '')))
}

const columns = ['symptom', 'code', 'class', 'retry', 'what to do']

/** Differences between the errors in the code and the page about them, both ways. */
export function errorPageFaults(classes: readonly ErrorClass[], markdown: string): string[] {
  const faults: string[] = []
  const table = rows(markdown)
  const headings = [...markdown.matchAll(/^### `([A-Z0-9_]+)`$/gm)].map((match) => match[1] ?? '')
  const known = new Set<string>()
  for (const { name, code, retryable } of classes) {
    if (known.has(code)) faults.push(`${code} is the code of two classes`)
    known.add(code)
    const found = table.get(code) ?? []
    const row = found[0]
    if (found.length !== 1 || row === undefined) {
      faults.push(`${code} (${name}) has ${found.length} rows in the table, should have 1`)
      continue
    }
    const wanted = retryable ? 'yes' : 'no'
    if (row.cells[2] !== `\`${name}\``) faults.push(`${code}: the class is ${name}`)
    if (row.cells[3] !== wanted) faults.push(`${code}: retry should say ${wanted}`)
    for (const [i, column] of columns.entries()) {
      if ((row.cells[i] ?? '') === '') faults.push(`${code}: ${column} is empty`)
    }
    const count = headings.filter((heading) => heading === code).length
    if (count !== 1) faults.push(`${code} has ${count} paragraphs, should have 1`)
  }
  for (const code of new Set([...table.keys(), ...headings])) {
    if (!known.has(code)) faults.push(`${code} is on the page, but no class has it`)
  }
  return faults
}
