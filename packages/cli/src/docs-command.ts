import { Command } from 'commander'
import { entriesOf, programOf } from './command-tree.ts'
import { Refused } from './exit-codes.ts'
import { Guide } from './guide.ts'
import type { Session } from './session.ts'

/** `docs [COMMAND]` */
export function docsCommand(session: Session): Command {
  return new Command('docs')
    .description('print the manual of a command, a page of the guide or an error code; offline')
    .argument('[words...]', 'a command, a page, a code; the list of them when left out')
    .addHelpText('after', EXAMPLES)
    .action((words: readonly string[], _flags: unknown, command: Command) =>
      runDocs(session, words, programOf(command)),
    )
}

const EXAMPLES = `
Examples:
  eventuali docs verify | less
  eventuali docs schema check
  eventuali docs time-travel
  eventuali docs VERSION_CONFLICT
`

async function runDocs(
  session: Session,
  words: readonly string[],
  program: Command,
): Promise<void> {
  const guide = new Guide()
  if (words.length === 0) return session.output.write(listOf(program, guide))
  const command = commandAt(program, words)
  if (command !== undefined) {
    // Commander writes its own help, which is the manual's first part.
    command.outputHelp()
    for (const part of guide.ofCommand(words[0] ?? '')) await session.output.write(`\n${part}`)
    return
  }
  const [word = ''] = words
  const text = guide.has(word) ? guide.page(word) : guide.ofError(word.toUpperCase())
  if (words.length > 1 || text === undefined) {
    throw new Refused(
      `there is no command, page or error ${JSON.stringify(words.join(' '))}; see: ${program.name()} docs`,
    )
  }
  await session.output.write(text)
}

function commandAt(program: Command, words: readonly string[]): Command | undefined {
  return words.reduce<Command | undefined>(
    (at, word) => at?.commands.find((one) => one.name() === word || one.aliases().includes(word)),
    program,
  )
}

function listOf(program: Command, guide: Guide): string {
  const commands = entriesOf(program).filter(({ path }) => path !== '')
  const rows = [
    ...commands.map(({ path, description }) => [path, description] as const),
    ...guide.pages.map(({ name, title }) => [name, title] as const),
  ]
  const width = Math.max(...rows.map(([name]) => name.length)) + 2
  const lines = rows.map(([name, text]) => `  ${name.padEnd(width)}${text}\n`)
  const pages = lines.slice(commands.length)
  return `Commands:\n${lines.slice(0, commands.length).join('')}\nPages of the guide:\n${pages.join('')}`
}
