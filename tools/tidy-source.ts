import { basename } from 'node:path'
import { type Node, parseSync, type Span, Visitor } from 'oxc-parser'

/** Something to mend, or (`note`) only to know. */
export interface Complaint {
  readonly file: string
  readonly line: number
  readonly rule: string
  readonly what: string
  readonly note?: boolean
}

export const limits = {
  fileLinesHabit: 300,
  fileLinesMax: 500,
  functionLinesMax: 70,
  lineWidthMax: 100,
} as const

const bannedName = /^(utils?|helpers?|common|types?)\./
const plainName = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*\.(ts|mjs|js|sql)$/
// Spelled in two halves, so that this file does not find itself.
const marker = new RegExp(
  `\\b(${['TO', 'FIX'].map((a, i) => a + ['DO', 'ME'][i]).join('|')})\\b`,
  'i',
)
const issueNumber = /#\d+/
const machinePath = new RegExp(
  `(^|[\\s'"\`(=:])/(${['work', 'root', 'home', 'Users'].join('|')})/\\w`,
)

/** Rules for any text in the tree. */
export function checkText(file: string, text: string): Complaint[] {
  const complaints: Complaint[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const at = { file, line: index + 1 }
    if (machinePath.test(line)) {
      complaints.push({ ...at, rule: 'machine-path', what: 'a path of one machine' })
    }
    if (marker.test(line) && !issueNumber.test(line)) {
      complaints.push({ ...at, rule: 'marker', what: 'an open end without an issue number' })
    }
  }
  return complaints
}

function lineOf(text: string, offset: number): number {
  let line = 1
  for (let i = text.indexOf('\n'); i !== -1 && i < offset; i = text.indexOf('\n', i + 1)) line++
  return line
}

interface Seen {
  readonly functions: (Span & { readonly of: string })[]
  readonly strings: Span[]
  readonly templates: Span[]
  readonly other: { readonly at: Span; readonly rule: string; readonly what: string }[]
}

/** Where time and chance come in as arguments, so that a run repeats from its seed. */
function isSeeded(file: string): boolean {
  return /^packages\/eventuali\/src\/(?!kernel\/)/.test(file) && !/\.(test|test-d)\.ts$/.test(file)
}

/** `describe(…)`, `describe.each(…)(…)`, `describe.skipIf(…)(…)`, `describeStores(…)`. */
function isDescribe(node: Node): boolean {
  if (node.type === 'Identifier') return /^describe([A-Z]|$)/.test(node.name)
  if (node.type === 'CallExpression') return isDescribe(node.callee)
  return node.type === 'MemberExpression' && isDescribe(node.object)
}

function look(file: string, text: string): Seen {
  const seen: Seen = { functions: [], strings: [], templates: [], other: [] }
  const { program, errors } = parseSync(file, text)
  if (errors[0] !== undefined) {
    seen.other.push({ at: { start: 0, end: 0 }, rule: 'syntax', what: errors[0].message })
  }
  const excused = new Set<Node>()
  const addFunction = (node: Node): void => {
    if (!excused.has(node)) seen.functions.push({ start: node.start, end: node.end, of: '' })
  }
  const complain = (at: Span, rule: string, what: string): void => {
    seen.other.push({ at, rule, what })
  }
  new Visitor({
    CallExpression(node) {
      // A describe block is a chapter, not a function.
      if (isDescribe(node)) for (const argument of node.arguments) excused.add(argument)
    },
    FunctionDeclaration: addFunction,
    FunctionExpression: addFunction,
    ArrowFunctionExpression: addFunction,
    Literal: (node) => void seen.strings.push(node),
    TemplateLiteral(node) {
      seen.strings.push(node)
      seen.templates.push(node)
    },
    TSImportType: (node) =>
      complain(node, 'import-type', "an import hidden in a type; write 'import type'"),
    ExportAllDeclaration: (node) =>
      complain(node, 'export-all', 'a door names what it lets through'),
    MemberExpression(node) {
      const text = isSeeded(file) && node.object.type === 'Identifier' ? node.object.name : ''
      const name = node.property.type === 'Identifier' ? node.property.name : ''
      if ((text === 'Date' && name === 'now') || (text === 'Math' && name === 'random')) {
        complain(node, 'seed', `${text}.${name}: use what is handed in (kernel)`)
      }
    },
    NewExpression(node) {
      const now = node.callee.type === 'Identifier' && node.callee.name === 'Date'
      if (isSeeded(file) && now && node.arguments.length === 0) {
        complain(node, 'seed', 'new Date(): use the clock that is handed in (kernel)')
      }
    },
  }).visit(program)
  return seen
}

function checkWidth(file: string, text: string, strings: readonly Span[]): Complaint[] {
  const complaints: Complaint[] = []
  let offset = 0
  for (const [index, line] of text.split('\n').entries()) {
    const edge = offset + limits.lineWidthMax
    // A text that cannot be broken may stick out; so may an address, and a word to a tool.
    const inString = strings.some((span) => span.start < edge && span.end > edge - 1)
    if (line.length > limits.lineWidthMax && !inString && !/https:\/\/|biome-ignore/.test(line)) {
      const what = `${line.length} columns, at most ${limits.lineWidthMax}`
      complaints.push({ file, line: index + 1, rule: 'line-width', what })
    }
    offset += line.length + 1
  }
  return complaints
}

function checkName(file: string): Complaint[] {
  const name = basename(file)
  const at = { file, line: 1 }
  if (bannedName.test(name)) return [{ ...at, rule: 'file-name', what: 'name it for its noun' }]
  if (plainName.test(name)) return []
  return [{ ...at, rule: 'file-name', what: 'kebab-case' }]
}

/** Rules for one source file. */
export function checkSource(file: string, text: string): Complaint[] {
  const complaints = checkName(file)
  const linesCount = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  if (linesCount > limits.fileLinesHabit) {
    const over = linesCount > limits.fileLinesMax
    const what = `${linesCount} lines, habit ${limits.fileLinesHabit}, limit ${limits.fileLinesMax}`
    complaints.push({ file, line: 1, rule: 'file-length', what, note: !over })
  }
  const seen = look(file, text)
  for (const span of seen.functions) {
    const line = lineOf(text, span.start)
    // A long text, SQL say, is one value: it counts as a line.
    const inside = seen.templates.filter((t) => t.start >= span.start && t.end <= span.end)
    const textLines = inside.reduce(
      (sum, t) => sum + lineOf(text, t.end) - lineOf(text, t.start),
      0,
    )
    const count = lineOf(text, span.end) - line + 1 - textLines
    if (count <= limits.functionLinesMax) continue
    const what = `${count} lines, at most ${limits.functionLinesMax}`
    complaints.push({ file, line, rule: 'function-length', what })
  }
  for (const { at, rule, what } of seen.other) {
    complaints.push({ file, line: lineOf(text, at.start), rule, what })
  }
  return [...complaints, ...checkWidth(file, text, seen.strings)]
}
