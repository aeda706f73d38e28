import type * as saxesModule from 'saxes'
import type { SaxesParser } from 'saxes'
import { loadPeer } from '../../kernel/index.ts'
import { DriverMissingError, ImportLineError, nestingDepthMax } from '../../model/index.ts'
import { lineBytesMax, type SkippedLine } from '../import-lines.ts'
import { attributeTypes, valueProblem, type XesAttribute } from './attributes.ts'

/** An event as its trace has it. */
export interface XesEvent {
  /** Where its element begins; counts from 1. */
  readonly line: number
  /** Name of the trace, or its number where it has none. */
  readonly caseName: string
  readonly attributes: readonly XesAttribute[]
  /** Of the trace, with its first event. */
  readonly caseAttributes: readonly XesAttribute[] | undefined
  /** The name of the stream that it was exported from. */
  readonly stream: string | undefined
}

interface Trace {
  readonly kind: 'trace'
  readonly attributes: XesAttribute[]
  readonly number: number
  eventCount: number
}

interface Event {
  readonly kind: 'event'
  readonly attributes: XesAttribute[]
  readonly line: number
  problem: string | undefined
}

interface OpenAttribute {
  readonly kind: 'attribute'
  readonly attribute: XesAttribute & { readonly children: XesAttribute[] }
  readonly line: number
}

type Frame = Trace | Event | OpenAttribute | { readonly kind: 'log' | 'values' | 'skip' }

const typeNames: ReadonlySet<string> = new Set(attributeTypes)

/** Reads XES as it comes: what is held is one event and the attributes of its trace. */
export class XesReader {
  readonly #parser: SaxesParser
  readonly #stack: Frame[] = []
  #found: (XesEvent | SkippedLine)[] = []
  #traceCount = 0
  #emptyCount = 0
  /** Characters since the last element that is kept no longer. */
  #pending = 0

  constructor() {
    const saxes = loadPeer<typeof saxesModule>('saxes')
    if (saxes === undefined) throw new DriverMissingError('saxes', 'npm install saxes')
    this.#parser = new saxes.SaxesParser()
    this.#parser.on('opentag', ({ name, attributes }) => {
      this.#open(localName(name), attributes as Readonly<Record<string, string>>)
    })
    this.#parser.on('closetag', () => this.#close())
    this.#parser.on('error', (error) => {
      const reason = error.message.replace(/^\d+:\d+: /, '').replace(/\.$/, '')
      this.#fail(`is not well-formed XML (${reason})`)
    })
  }

  get emptyCount(): number {
    return this.#emptyCount
  }

  /** The events that are complete with this text. ImportLineError for what is no XES. */
  read(text: string): (XesEvent | SkippedLine)[] {
    this.#pending += text.length
    this.#parser.write(text)
    if (this.#pending > lineBytesMax) this.#fail('is an element that is too large')
    return this.#take()
  }

  /** What the end brings. */
  end(): (XesEvent | SkippedLine)[] {
    this.#parser.close()
    return this.#take()
  }

  #take(): (XesEvent | SkippedLine)[] {
    const found = this.#found
    this.#found = []
    return found
  }

  #fail(reason: string): never {
    throw new ImportLineError(this.#parser.line, reason, { advice: 'mend the file' })
  }

  #open(name: string, given: Readonly<Record<string, string>>): void {
    const parent = this.#stack.at(-1)
    if (this.#stack.length > nestingDepthMax) this.#fail('is nested too deeply')
    this.#stack.push(this.#frame(parent, name, given))
  }

  #frame(parent: Frame | undefined, name: string, given: Readonly<Record<string, string>>): Frame {
    if (parent === undefined) {
      if (name !== 'log') this.#fail(`is no XES: the document is <${name}>, not <log>`)
      return { kind: 'log' }
    }
    const { line } = this.#parser
    if (parent.kind === 'log') {
      if (name === 'event') this.#found.push({ line, reason: 'the event is in no trace' })
      if (name !== 'trace') return { kind: 'skip' }
      return { kind: 'trace', attributes: [], number: ++this.#traceCount, eventCount: 0 }
    }
    if (parent.kind === 'trace' && name === 'event') {
      return { kind: 'event', attributes: [], line, problem: undefined }
    }
    if (parent.kind === 'attribute' && name === 'values') return { kind: 'values' }
    if (parent.kind === 'skip' || !typeNames.has(name)) return { kind: 'skip' }
    const { key = '', value = '' } = given
    const attribute = { type: name, key, value, children: [] }
    return { kind: 'attribute', attribute, line }
  }

  #close(): void {
    const frame = this.#stack.pop()
    const parent = this.#stack.at(-1)
    if (frame?.kind === 'attribute') this.#endAttribute(frame)
    if (frame?.kind === 'event' && parent?.kind === 'trace') this.#endEvent(frame, parent)
    if (frame?.kind === 'trace' && frame.eventCount === 0) this.#emptyCount++
    if (parent?.kind === 'log' || parent?.kind === 'trace') this.#pending = 0
  }

  #endAttribute({ attribute, line }: OpenAttribute): void {
    const owner = this.#stack.findLast(({ kind }) => kind !== 'values')
    if (owner?.kind === 'attribute') {
      owner.attribute.children.push(attribute)
      return
    }
    if (owner?.kind !== 'event' && owner?.kind !== 'trace') return
    const problem = problemOf(attribute, owner.attributes)
    if (owner.kind === 'event') {
      owner.problem ??= problem
      owner.attributes.push(attribute)
      return
    }
    // A stream begins with its first event, which has the attributes of the trace with it.
    const isLate = owner.eventCount > 0
    const reason = isLate ? `the trace's attribute ${attribute.key} comes after an event` : problem
    if (reason !== undefined) this.#found.push({ line, reason })
    else owner.attributes.push(attribute)
  }

  #endEvent({ attributes, line, problem }: Event, trace: Trace): void {
    trace.eventCount++
    if (problem !== undefined) {
      this.#found.push({ line, reason: problem })
      return
    }
    const named = (key: string) => trace.attributes.find((one) => one.key === key)?.value
    this.#found.push({
      ...{ line, attributes },
      caseName: named('concept:name') ?? String(trace.number),
      stream: named('eventuali:stream'),
      caseAttributes: trace.eventCount === 1 ? trace.attributes : undefined,
    })
  }
}

function problemOf(attribute: XesAttribute, others: readonly XesAttribute[]): string | undefined {
  const { key } = attribute
  if (key === '') return `a <${attribute.type}> has no key`
  if (others.some((other) => other.key === key)) return `the attribute ${key} is there twice`
  const nested = attribute.children.map((child) => problemOf(child, []))
  return valueProblem(attribute) ?? nested.find((problem) => problem !== undefined)
}

/** `xes:trace` and `trace` are the same to us. */
function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1)
}
