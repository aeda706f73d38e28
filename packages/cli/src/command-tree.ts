import type { Command, Option } from 'commander'

/** One option as a shell or a reader needs it. */
export interface OptionEntry {
  /** `--store`, `-s`. */
  readonly names: readonly string[]
  readonly description: string
  /** Whether the next word is its value. */
  readonly takesValue: boolean
  /** The only values that it takes. */
  readonly choices: readonly string[]
}

/** One command with everything that may stand behind it. */
export interface CommandEntry {
  /** Without the program: `schema list`; empty for the program itself. */
  readonly path: string
  readonly description: string
  readonly commands: readonly { readonly name: string; readonly description: string }[]
  /** Its own options and those of the program. */
  readonly options: readonly OptionEntry[]
}

/** The program above a command. */
export function programOf(command: Command): Command {
  return command.parent === null ? command : programOf(command.parent)
}

function optionEntry(option: Option): OptionEntry {
  const { short, long, description, argChoices: choices = [] } = option
  return {
    names: [long, short].filter((name) => name !== undefined && name !== null),
    description,
    takesValue: option.required || option.optional,
    choices,
  }
}

/** Every command below and including this one, as commander knows them. */
export function entriesOf(command: Command, path = ''): readonly CommandEntry[] {
  const help = command.createHelp()
  const children = help.visibleCommands(command).filter((child) => child.name() !== 'help')
  help.showGlobalOptions = true
  const options = [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)]
  return [
    {
      path,
      description: command.description(),
      commands: children.map((child) => ({
        name: child.name(),
        description: child.description(),
      })),
      options: options.map(optionEntry),
    },
    ...children.flatMap((child) => entriesOf(child, `${path} ${child.name()}`.trim())),
  ]
}
