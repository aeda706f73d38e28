import { Command } from 'commander'
import type { Config, ConfigEntry, ConfigSource } from 'eventuali'
import { jsonOption, storeOption } from './arguments.ts'
import type { Session } from './session.ts'
import { Table } from './table.ts'

interface ConfigFlags {
  readonly store?: string
  readonly json?: boolean
}

/** `config` */
export function configCommand(session: Session): Command {
  return new Command('config')
    .description('show the settings that hold here, and who said each; check them')
    .addOption(storeOption())
    .addOption(jsonOption('everything as one line of JSON'))
    .addHelpText('after', EXAMPLES)
    .action((flags: ConfigFlags) => runConfig(session, flags))
}

const EXAMPLES = `
A flag goes before the environment (EVENTUALI_SERVER_PORT is server.port), that before the profile,
that before the file, that before defaults. Passwords are never shown; a reference to one is.

Examples:
  eventuali config
  eventuali config --profile production --json
`

const columns = [
  { title: 'SETTING', text: ({ key }: ConfigEntry) => key },
  { title: 'VALUE', text: ({ value }: ConfigEntry) => valueText(value) },
  { title: 'FROM', text: ({ source }: ConfigEntry) => sourceText(source) },
] as const

async function runConfig(session: Session, flags: ConfigFlags): Promise<void> {
  const { store } = flags
  const config = await session.config(store === undefined ? {} : { store })
  // A name that no store has is said here rather than by the first command that opens it.
  for (const warning of config.warnings) session.say(`eventuali: ${warning}`)
  if (flags.json === true) return session.output.write(`${JSON.stringify(plain(config))}\n`)
  const { file, profile, profiles } = config
  session.say(file === undefined ? 'no configuration file' : `file ${file}`)
  if (profiles.length > 0) {
    const chosen = profile === undefined ? 'none is chosen' : `${profile} is chosen`
    session.say(`profiles ${profiles.join(', ')}; ${chosen}`)
  }
  const table = new Table<ConfigEntry>(columns, session.output, session.io)
  await table.add(config.entries())
  await table.end()
}

function plain(config: Config) {
  const { file, profile, profiles, warnings } = config
  return {
    file: file ?? null,
    profile: profile ?? null,
    ...{ profiles, warnings },
    settings: config.entries().map(({ key, value, source }) => ({ key, value, source })),
  }
}

function valueText(value: unknown): string {
  if (Array.isArray(value)) return value.map(valueText).join(', ')
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function sourceText({ kind, name }: ConfigSource): string {
  return kind === 'default' || kind === 'file' ? kind : `${kind} ${name}`
}
