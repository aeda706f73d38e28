import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { postgresSkipReason, startPostgres } from '../packages/eventuali/test/servers/postgres.ts'
import { type ErrorClass, errorClasses, errorPageFaults } from './error-table.ts'
import { brokenLinks, type CodeBlock, codeBlocks, exampleBlocks } from './markdown.ts'
import { checkPublicExports, publicEntries } from './public-exports.ts'
import { referenceFaults } from './reference.ts'
import { run } from './run.ts'
import {
  fileOf,
  followTutorial,
  type TutorialStep,
  tutorialPrograms,
  tutorialSteps,
} from './tutorial.ts'

const minute = 60_000

const read = (file: string): string => readFileSync(file, 'utf8')

function pages(): string[] {
  return globSync(['*.md', 'docs/**/*.md', 'packages/*/*.md', 'examples/**/*.md'], {
    // The reference is generated from examples that are checked where they stand, in the sources.
    exclude: ['**/node_modules/**', 'docs/reference/api/**'],
  }).sort()
}

function sources(): string[] {
  return globSync('packages/*/src/**/*.ts')
    .filter((file) => !/\.(test|test-d)\.ts$/.test(file))
    .sort()
}

/** A block as a program of its own. */
export interface Program {
  readonly name: string
  readonly text: string
  readonly run: boolean
}

/**
 * Makes a program of each `ts` block. Its lines stay where they are on the page, so that a
 * complaint of the compiler names the page's line. `ts continue` goes on from the block before.
 */
export function programsOf(page: string, blocks: readonly CodeBlock[]): Program[] {
  const programs: Program[] = []
  let before: string[] = []
  for (const block of blocks) {
    const { info, line, code } = block
    if (info[0] !== 'ts' || fileOf(block) !== undefined) continue
    const lines = info.includes('continue') ? [...before] : []
    for (const [index, text] of code.entries()) lines[line - 1 + index] = text
    before = lines
    const text = `${Array.from(lines, (text) => text ?? '').join('\n')}\nexport {}\n`
    const name = `${page.replaceAll('/', '__')}.${line}.ts`
    programs.push({ name, text, run: info.includes('run') })
  }
  return programs
}

/** The page and line that a compiler's complaint about a program means. */
export function onPage(complaint: string): string {
  return complaint.replace(
    /^\S*?([^/\s]+)\.\d+\.ts\((\d+),(\d+)\)/,
    (_all, name: string, line: string) => `${name.replaceAll('__', '/')}:${line}`,
  )
}

/** Complaints of the compiler about the programs, written to `scratch` (inside the workspace). */
export async function checkPrograms(
  programs: readonly Program[],
  scratch: string,
): Promise<string[]> {
  rmSync(scratch, { recursive: true, force: true })
  mkdirSync(scratch, { recursive: true })
  for (const { name, text } of programs) {
    mkdirSync(dirname(join(scratch, name)), { recursive: true })
    writeFileSync(join(scratch, name), text)
  }
  const options = {
    extends: '../../tsconfig.check.json',
    compilerOptions: { noUnusedLocals: false, noUnusedParameters: false },
    include: ['**/*.ts'],
  }
  writeFileSync(join(scratch, 'tsconfig.json'), JSON.stringify(options))
  if (programs.length === 0) return []
  const tsc = ['node_modules/typescript/bin/tsc', '-p', scratch, '--pretty', 'false']
  const { exitCode, output } = await run(process.execPath, tsc, { timeoutMs: 5 * minute })
  if (exitCode === 0) return []
  return output.trim().split('\n').map(onPage)
}

/** Runs those programs that ask for it; `checkPrograms` has written them. */
export async function executePrograms(
  programs: readonly Program[],
  scratch: string,
): Promise<string[]> {
  const faults: string[] = []
  for (const program of programs) {
    if (!program.run) continue
    const cwd = mkdtempSync(resolve(scratch, 'run-'))
    const file = resolve(scratch, program.name)
    const { exitCode, output } = await run(process.execPath, [file], { timeoutMs: minute, cwd })
    if (exitCode !== 0) faults.push(`${program.name} ended with code ${exitCode}\n${output}`)
  }
  return faults
}

/** Follows pages of a tutorial, with a server where they ask for one; a skip is told loudly. */
async function followPages(steps: readonly TutorialStep[], folder: string): Promise<string[]> {
  const needsServer = steps.some((step) => step.kind === 'run' && step.onPostgres)
  if (!needsServer || postgresSkipReason() !== undefined) return followTutorial(steps, folder)
  const server = await startPostgres()
  try {
    return await followTutorial(steps, folder, { postgres: await server.database() })
  } finally {
    await server.stop()
  }
}

async function checkDocs(): Promise<{ faults: string[]; said: string }> {
  const classes: ErrorClass[] = sources().flatMap((file) => errorClasses(file, read(file)))
  const faults = errorPageFaults(classes, read('docs/errors.md')).map((f) => `docs/errors.md: ${f}`)
  for (const page of pages()) {
    for (const { line, link } of brokenLinks(page, read(page), read)) {
      faults.push(`${page}:${line} the link ${link} leads nowhere`)
    }
  }
  for (const { file, line, what } of checkPublicExports(publicEntries(), read('docs/errors.md'))) {
    faults.push(`${file}:${line} ${what}`)
  }
  faults.push(...(await referenceFaults()))
  const scratch = '.tmp/docs'
  const stepsOf = (page: string) => [page, tutorialSteps(page, codeBlocks(read(page)))] as const
  const tutorial = pages()
    .filter((page) => page.startsWith('docs/tutorial/'))
    .map(stepsOf)
  const quickStart = [stepsOf('docs/guide/quick-start.md')]
  const programs = [
    ...tutorialPrograms(tutorial),
    ...tutorialPrograms(quickStart),
    ...pages().flatMap((page) => programsOf(page, codeBlocks(read(page)))),
    ...sources().flatMap((file) => programsOf(file, exampleBlocks(read(file)))),
  ]
  faults.push(...(await checkPrograms(programs, scratch)))
  faults.push(...(await executePrograms(programs, scratch)))
  for (const [name, followed] of Object.entries({ tutorial, quickStart })) {
    const steps = followed.flatMap(([, steps]) => steps)
    faults.push(...(await followPages(steps, join(scratch, name))))
  }
  const executed = programs.filter((program) => program.run).length
  const said = `${classes.length} errors, ${pages().length} pages, ${programs.length} code blocks`
  const place = postgresSkipReason() === undefined ? 'on Postgres too' : 'SKIPPED on Postgres'
  const ran = `${executed} executed, the tutorial ${place}`
  return { faults, said: `${said} (${ran}), ${faults.length} wrong` }
}

if (import.meta.main) {
  const { faults, said } = await checkDocs()
  for (const fault of faults) console.error(fault)
  console.log(said)
  process.exitCode = faults.length > 0 ? 1 : 0
}
