import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { CodeBlock } from './markdown.ts'
import { run } from './run.ts'

const minute = 60_000

/** What a reader does at one place of a page. */
export type TutorialStep =
  | { readonly kind: 'file'; readonly at: string; readonly path: string; readonly text: string }
  | {
      readonly kind: 'run'
      readonly at: string
      readonly commands: readonly string[]
      /** Whether they need the database that STORE names, as `sh run postgres`. */
      readonly onPostgres: boolean
      /** What the page says that they print; anything when it says nothing. */
      output: string | undefined
    }

/** What the reader has, beside the folder. */
export interface TutorialSurroundings {
  /** An empty Postgres database; without one, what needs it is left out. */
  readonly postgres?: string | undefined
  /** What `npx eventuali` runs; the workspace's when left out. */
  readonly cli?: string | undefined
}

/** The file that a block is, as in `ts file=src/copy.ts`. */
export function fileOf(block: CodeBlock): string | undefined {
  return block.info.find((word) => word.startsWith('file='))?.slice('file='.length)
}

/**
 * What a page of a tutorial has its reader do, in order: blocks with `file=PATH` are files, blocks
 * `sh run` are commands (`sh run postgres` with a database in STORE), and a block `text output` is
 * what the commands before it print.
 */
export function tutorialSteps(page: string, blocks: readonly CodeBlock[]): TutorialStep[] {
  const steps: TutorialStep[] = []
  for (const block of blocks) {
    const at = `${page}:${block.line}`
    const path = fileOf(block)
    const last = steps.at(-1)
    if (path !== undefined) {
      steps.push({ kind: 'file', at, path, text: `${block.code.join('\n')}\n` })
    } else if (block.info[0] === 'sh' && block.info.includes('run')) {
      const commands = block.code.filter(Boolean)
      const onPostgres = block.info.includes('postgres')
      steps.push({ kind: 'run', at, commands, onPostgres, output: undefined })
    } else if (block.info.includes('output') && last?.kind === 'run') {
      last.output = block.code.join('\n').trim()
    }
  }
  return steps
}

/** The reader's files after each page, as programs to check; names begin with the page's. */
export function tutorialPrograms(
  pages: readonly (readonly [page: string, steps: readonly TutorialStep[]])[],
): { readonly name: string; readonly text: string; readonly run: false }[] {
  const files = new Map<string, string>()
  return pages.flatMap(([page, steps]) => {
    for (const step of steps) if (step.kind === 'file') files.set(step.path, step.text)
    const sources = [...files].filter(([path]) => path.endsWith('.ts'))
    const folder = page.replaceAll('/', '__')
    return sources.map(([path, text]) => ({ name: `${folder}/${path}`, text, run: false as const }))
  })
}

/** The words of a command; quotes keep words together. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, plain]) => single ?? double ?? plain ?? '',
  )
}

/** `node …` and `npx eventuali …`, the latter from the workspace instead of a registry. */
async function runCommand(
  command: string,
  folder: string,
  { cli = resolve('packages/eventuali/bin/eventuali.js'), postgres }: TutorialSurroundings,
): Promise<[number, string]> {
  const [program, ...rest] = wordsOf(command.replaceAll('$STORE', postgres ?? ''))
  const isCli = program === 'npx' && rest[0] === 'eventuali'
  if (program !== 'node' && !isCli) return [1, 'only node and npx eventuali are run\n']
  const args = isCli ? [cli, ...rest.slice(1)] : rest
  const env = { NO_COLOR: '1', ...(postgres !== undefined && { STORE: postgres }) }
  const options = { timeoutMs: minute, cwd: folder, env }
  const { exitCode, output } = await run(process.execPath, args, options)
  return [exitCode, output]
}

/**
 * Does in a folder what the pages say, and compares what is printed. A command may end with
 * another code than 0 when the page shows what it prints.
 */
export async function followTutorial(
  steps: readonly TutorialStep[],
  folder: string,
  { postgres, cli }: TutorialSurroundings = {},
): Promise<string[]> {
  mkdirSync(folder, { recursive: true })
  const faults: string[] = []
  for (const step of steps) {
    if (step.kind === 'file') {
      mkdirSync(dirname(join(folder, step.path)), { recursive: true })
      writeFileSync(join(folder, step.path), step.text)
      continue
    }
    if (step.onPostgres && postgres === undefined) continue
    const surroundings = { cli, postgres: step.onPostgres ? postgres : undefined }
    let printed = ''
    for (const command of step.commands) {
      const [exitCode, output] = await runCommand(command, resolve(folder), surroundings)
      printed += output
      if (exitCode === 0 || step.output !== undefined) continue
      faults.push(`${step.at} ${command} ended with code ${exitCode}\n${output}`)
    }
    if (step.output === undefined || step.output === printed.trim()) continue
    faults.push(`${step.at} printed\n${printed.trim()}\ninstead of\n${step.output}`)
  }
  return faults
}
