import { readFile } from 'node:fs/promises'
import { Option } from 'commander'
import { Refused, UsageError } from './exit-codes.ts'
import type { Session } from './session.ts'

/** Where a passphrase comes from. Never the command line: others can see it there. */
export interface PassphraseFlags {
  readonly passphraseEnv?: string
  readonly passphraseFile?: string
}

/** The options for it. */
export const passphraseOptions = (): readonly Option[] => [
  new Option('--passphrase-env <name>', 'the passphrase is in this environment variable'),
  new Option('--passphrase-file <file>', 'the passphrase is the first line of this file'),
]

/** The passphrase, where one is given. Throws UsageError and Refused; never shows it. */
export async function passphraseOf(
  session: Session,
  { passphraseEnv: name, passphraseFile: file }: PassphraseFlags,
): Promise<string | undefined> {
  if (name !== undefined && file !== undefined) {
    throw new UsageError(
      'the passphrase comes from one place: --passphrase-env or --passphrase-file',
    )
  }
  if (name !== undefined) {
    const value = session.io.env[name]
    if (value === undefined || value === '') {
      throw new Refused(
        `the environment variable ${name} is not set, where the passphrase should be`,
      )
    }
    return value
  }
  if (file === undefined) return undefined
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new Refused(`the file of the passphrase cannot be read: ${error.message}`)
  })
  const [line = ''] = text.split(/\r?\n/)
  if (line === '')
    throw new Refused(`the first line of ${file} is empty, where the passphrase should be`)
  return line
}
