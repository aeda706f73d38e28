import type { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { PassThrough, Readable } from 'node:stream'
import { exitCodeHelp } from '../packages/cli/src/exit-codes.ts'
import { programFor } from '../packages/cli/src/main.ts'
import { Session } from '../packages/cli/src/session.ts'

/** A command as commander has it, which the command line alone depends on. */
type Command = ReturnType<typeof programFor>

const guide = 'docs/guide/command-line.md'

/** The program with all commands; nothing is read, and nobody sees what it would write. */
function program(): Command {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  return programFor(new Session({ stdin: Readable.from([]), stdout, stderr, env: {} }))
}

/** Text in a cell of a table or in a paragraph: what it says, and no markup. */
export const plain = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('{{', '&#123;&#123;')
    .replaceAll('|', '\\|')
    .replaceAll('\n', ' ')

/** A description as a sentence. */
const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`

const code = (text: string): string => `\`${text.replaceAll('|', '\\|')}\``

/** What a command adds to its help: examples, ways to write a value, exit codes of its own. */
function moreHelp(command: Command): string {
  const parts: string[] = []
  const context = { error: false, command, write: (text: string) => parts.push(text) }
  // Commander is an emitter, and its types do not say so.
  const emitter = command as unknown as EventEmitter
  emitter.emit('afterHelp', context)
  return parts.join('').replace(exitCodeHelp, '').trim()
}

/** Where the guide speaks of a command: the links of its row there, and its own section. */
function guideLinks(name: string, page: string): string[] {
  const row = page.split('\n').find((line) => new RegExp(`^\\| \`${name}[ \`]`).test(line)) ?? ''
  const links = [...row.matchAll(/\[([^\]]+)\]\(([^)]+)\)/g)]
  const there = links.map(([, text = '', to = '']) => {
    const isElsewhere = to.startsWith('#')
    return `[${text}](../guide/${isElsewhere ? 'command-line.md' : ''}${to})`
  })
  const heading = new RegExp(`^## (.*\\b${name}\\b.*)$`, 'm').exec(page)?.[1]
  if (heading?.split(' and ').includes(name)) {
    there.unshift(`[${heading}](../guide/command-line.md#${heading.replaceAll(' ', '-')})`)
  }
  return there
}

function table(head: readonly [string, string], rows: readonly [string, string][]): string[] {
  if (rows.length === 0) return []
  const lines = rows.map(([name, text]) => `| ${name} | ${text} |`)
  return [`| ${head[0]} | ${head[1]} |`, '|---|---|', ...lines, '']
}

function optionRows(command: Command): [string, string][] {
  const help = command.createHelp()
  return help
    .visibleOptions(command)
    .filter((option) => option.long !== '--help')
    .map((option) => [code(option.flags), plain(help.optionDescription(option))])
}

function section(command: Command, path: string, page: string): string[] {
  const help = command.createHelp()
  const [name = ''] = path.split(' ')
  const more = moreHelp(command)
  const links = path === name ? guideLinks(name, page) : []
  const children = help.visibleCommands(command).filter((child) => child.name() !== 'help')
  const inner = children.flatMap((child) => section(child, `${path} ${child.name()}`, page))
  return [
    `${path === name ? '##' : '###'} ${path}`,
    '',
    sentence(plain(help.commandDescription(command))),
    '',
    '```text',
    help.commandUsage(command),
    '```',
    '',
    ...table(
      ['argument', 'meaning'],
      help
        .visibleArguments(command)
        .map((argument) => [code(argument.name()), plain(help.argumentDescription(argument))]),
    ),
    ...table(['option', 'meaning'], optionRows(command)),
    ...(more === '' ? [] : ['```text', more, '```', '']),
    ...(links.length === 0 ? [] : [`In the guide: ${links.join(', ')}.`, '']),
    ...inner,
  ]
}

/** The page of all commands, made from what reads their arguments. */
export function commandReference(): string {
  const top = program()
  const page = readFileSync(guide, 'utf8')
  const commands = top
    .createHelp()
    .visibleCommands(top)
    .filter((command) => command.name() !== 'help')
  const lines = [
    '# Command reference',
    '',
    '<!-- Generated: node tools/reference.ts --write -->',
    '',
    'Every command with its arguments and options, as `eventuali COMMAND --help` has them.',
    '[The command line](../guide/command-line.md) says how they are used together.',
    '',
    '```text',
    'eventuali [options] COMMAND',
    '```',
    '',
    'Options of every command, beside `--help`:',
    '',
    ...table(['option', 'meaning'], optionRows(top)),
    '## Exit codes',
    '',
    'Of every command that says nothing else:',
    '',
    '```text',
    exitCodeHelp.trim().replace('Exit codes:\n', ''),
    '```',
    '',
    ...commands.flatMap((command) => section(command, command.name(), page)),
  ]
  return `${lines.join('\n').trim()}\n`
}
