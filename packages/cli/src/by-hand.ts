import { Option } from 'commander'
import type { Session } from './session.ts'

/** The option of commands that leave a trace in the audit. */
export const actorOption = (): Option =>
  new Option('--actor <name>', 'who does it, for the audit; your user name when left out')

/** Who does it. */
export function actorOf(session: Session, { actor }: { readonly actor?: string }): string {
  const { USER, USERNAME } = session.io.env
  return actor ?? USER ?? USERNAME ?? 'cli'
}
