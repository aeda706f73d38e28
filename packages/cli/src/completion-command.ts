import { Argument, Command } from 'commander'
import { entriesOf, programOf } from './command-tree.ts'
import { bashScript, fishScript, zshScript } from './completion-scripts.ts'
import type { Session } from './session.ts'

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript } as const

/** `completion SHELL` */
export function completionCommand(session: Session): Command {
  return new Command('completion')
    .description('print a script that lets the shell complete commands and options')
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(scripts)))
    .addHelpText('after', EXAMPLES)
    .action(async (shell: keyof typeof scripts, _flags: unknown, command: Command) => {
      const program = programOf(command)
      await session.output.write(scripts[shell](program.name(), entriesOf(program)))
    })
}

const EXAMPLES = `
Examples:
  source <(eventuali completion bash)
  eventuali completion bash > ~/.local/share/bash-completion/completions/eventuali
  eventuali completion zsh > ~/.zfunc/_eventuali       (a folder of your fpath)
  eventuali completion fish > ~/.config/fish/completions/eventuali.fish
`
