import { basename } from 'node:path'
import { Option } from 'commander'
import { Refused } from './exit-codes.ts'
import type { Session } from './session.ts'
import { harmless } from './text-width.ts'

/** The option of every command that cannot be taken back. */
export const yesOption = (): Option => new Option('-y, --yes', 'do not ask, do it')

/** What is about to happen, and to what. */
export interface Danger {
  /** A sentence without its end: `removes all snapshots of order`. */
  readonly what: string
  /** What has to be typed: the name of what is concerned. */
  readonly name: string
  /** `--yes` was given. */
  readonly yes: boolean | undefined
}

/**
 * Asks before what cannot be taken back; returns when it was agreed to. Throws Refused otherwise,
 * and where nobody can be asked.
 */
export async function confirm(session: Session, { what, name, yes }: Danger): Promise<void> {
  if (yes === true) return
  if (session.io.stdin.isTTY !== true) {
    throw new Refused(
      `this ${what}, and nobody can be asked here; give --yes if it is meant. Nothing was done`,
    )
  }
  session.io.stderr.write(`This ${harmless(what)}.\nType ${harmless(name)} to go on: `)
  const answer = (await session.readLine())?.trim()
  if (answer === name) return
  if (answer === undefined) session.io.stderr.write('\n')
  throw new Refused(`that was not ${JSON.stringify(name)}; nothing was done`)
}

/**
 * The same for a whole store: its name in the configuration, of its file or of its database has to
 * be typed. `what` follows the url: `loses its events of before 2020`.
 */
export async function confirmStore(
  session: Session,
  store: string | undefined,
  { what, yes }: Pick<Danger, 'what' | 'yes'>,
): Promise<void> {
  const { shownUrl, name, url } = await session.place(store)
  await confirm(session, {
    what: `concerns ${shownUrl}, which ${what}`,
    name: name ?? nameOf(url),
    yes,
  })
}

function nameOf(url: string): string {
  const file = /^sqlite:(.+)$/s.exec(url)?.[1]
  if (file !== undefined) return basename(file)
  if (!URL.canParse(url)) return url
  const { pathname, host } = new URL(url)
  const name = decodeURIComponent(pathname.slice(1))
  return name === '' ? host : name
}
