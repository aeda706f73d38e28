import { type Command, InvalidArgumentError } from 'commander'
import type { DeadLetter, Store } from 'eventuali'
import { outcomeOption, storeOption } from './arguments.ts'
import { actorOf, actorOption } from './by-hand.ts'
import { confirmStore, yesOption } from './confirm.ts'
import { Refused, UsageError } from './exit-codes.ts'
import { count, counted } from './numbers.ts'
import { duration, durationText } from './quantities.ts'
import type { Session } from './session.ts'
import { harmless } from './text-width.ts'

interface ChangeFlags {
  readonly store?: string
  readonly subscription?: string
  readonly key?: string
  readonly reason?: string
  readonly actor?: string
  readonly yes?: boolean
  readonly json?: boolean
}

interface PruneFlags extends ChangeFlags {
  readonly olderThan: number
}

const YEARS_MS: number = 100 * 366 * 24 * 60 * 60 * 1000

/** `deadletters retry`, `discard` and `prune` */
export function addLetterChanges(command: Command, session: Session): void {
  command
    .command('retry [ids...]')
    .description('have letters handled again, in order where order is kept')
    .addOption(storeOption())
    .option('--subscription <name>', 'all that are parked of this subscription, in place of ids')
    .option('--key <key>', 'of these, those of one key, as deadletters show tells it')
    .addOption(actorOption())
    .addOption(outcomeOption())
    .addHelpText('after', '\nExample:\n  eventuali deadletters retry --subscription mailer')
    .action((ids: string[], flags: ChangeFlags) => runRetry(session, unique(ids), flags))
  command
    .command('discard [ids...]')
    .description('give letters up, for a reason that is kept; what waits behind them goes on')
    .addOption(storeOption())
    .option('--subscription <name>', 'all that are parked of this subscription, in place of ids')
    .option('--key <key>', 'of these, those of one key, as deadletters show tells it')
    .requiredOption('--reason <text>', 'why the events are given up', reasonText)
    .addOption(actorOption())
    .addOption(yesOption())
    .addOption(outcomeOption())
    .addHelpText('after', discardHelp)
    .action((ids: string[], flags: ChangeFlags) => runDiscard(session, unique(ids), flags))
  command
    .command('prune')
    .description('remove letters that are long done or discarded; parked ones stay')
    .addOption(storeOption())
    .requiredOption('--older-than <time>', 'finished so long ago: 90d, 12h', duration(0, YEARS_MS))
    .option('--subscription <name>', 'only of this subscription')
    .addOption(actorOption())
    .addOption(yesOption())
    .addOption(outcomeOption())
    .addHelpText('after', '\nExample:\n  eventuali deadletters prune --older-than 90d --yes')
    .action((flags: PruneFlags) => runPrune(session, flags))
}

const discardHelp = `
Examples:
  eventuali deadletters discard ID --reason "sent by hand" --yes
  eventuali deadletters discard --subscription mailer --key order-17 --reason "a test order"
`

const unique = (ids: readonly string[]): readonly string[] => [...new Set(ids)]

function reasonText(text: string): string {
  if (text.trim() !== '') return text
  throw new InvalidArgumentError('It must say why.')
}

/** Throws UsageError unless letters are chosen in one way. */
function assertChoice(ids: readonly string[], { subscription, key }: ChangeFlags): void {
  if ((ids.length === 0) === (subscription === undefined)) {
    throw new UsageError('give ids of letters, or --subscription NAME for all that are parked')
  }
  if (key !== undefined && subscription === undefined) {
    throw new UsageError('--key goes with --subscription')
  }
}

/** The letter of an id. Throws Refused when there is none. */
export async function knownLetter(store: Store, id: string): Promise<DeadLetter> {
  const letter = await store.deadLetters.get(id)
  if (letter !== undefined) return letter
  throw new Refused(
    `there is no dead letter ${harmless(id)}; deadletters list --each shows the ids`,
  )
}

/** The letters of ids, all of them parked: so that nothing is done when one of them is not. */
async function assertParked(store: Store, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const { state } = await knownLetter(store, id)
    if (state !== 'parked') {
      throw new Refused(`the dead letter ${harmless(id)} is ${state}, not parked; nothing was done`)
    }
  }
}

/** Throws Refused when nothing of the name has ever run, or left letters. */
async function assertSubscription(store: Store, name: string): Promise<void> {
  if ((await store.subscriptions.status(name)) !== undefined) return
  const some = await store.deadLetters.list({ subscription: name, state: 'any', limit: 1 })
  if (some.length > 0) return
  throw new Refused(
    `there is no subscription ${harmless(name)}; subscriptions list shows the names`,
  )
}

async function runRetry(
  session: Session,
  ids: readonly string[],
  flags: ChangeFlags,
): Promise<void> {
  assertChoice(ids, flags)
  const { subscription, key, json } = flags
  const { signal } = session
  const actor = actorOf(session, flags)
  const retried = await session.withRawStore(flags.store, 'change', async (store) => {
    if (subscription !== undefined) {
      await assertSubscription(store, subscription)
      return await store.deadLetters.retryAll(subscription, { actor, key, signal })
    }
    await assertParked(store, ids)
    for (const id of ids) await store.deadLetters.retry(id, { actor })
    return ids.length
  })
  const many = subscription === undefined ? 'letters' : 'letters or keys'
  const what = retried === 1 ? many.replace('letters', 'letter').replace('keys', 'key') : many
  const text =
    retried === 0
      ? 'nothing is parked'
      : `${count(retried)} ${what} to be handled again, at the next look of whoever runs it`
  await session.answer(json, { retried }, text)
}

async function runDiscard(
  session: Session,
  ids: readonly string[],
  flags: ChangeFlags,
): Promise<void> {
  assertChoice(ids, flags)
  const { reason = '', subscription, key, json, yes } = flags
  const { signal } = session
  const actor = actorOf(session, flags)
  const discarded = await session.withRawStore(flags.store, 'change', async (store) => {
    if (subscription === undefined) await assertParked(store, ids)
    else await assertSubscription(store, subscription)
    const what = `gives up ${whatOf(ids, subscription, key)} for good`
    await confirmStore(session, flags.store, { what, yes })
    if (subscription !== undefined) {
      return await store.deadLetters.discardAll(subscription, { reason, actor, key, signal })
    }
    // The last of a key first: behind the first one the next would go on, and not be parked.
    for (const id of ids.toSorted().reverse()) {
      await store.deadLetters.discard(id, { reason, actor })
    }
    return ids.length
  })
  const text =
    discarded === 0
      ? 'nothing is parked'
      : `${counted(discarded, 'letter')} discarded: ${harmless(reason)}`
  await session.answer(json, { discarded, reason }, text)
}

function whatOf(
  ids: readonly string[],
  subscription: string | undefined,
  key: string | undefined,
): string {
  if (subscription === undefined) return counted(ids.length, 'dead letter')
  const all = `all dead letters of ${subscription} that are parked`
  return key === undefined ? all : `${all} of the key ${key}`
}

async function runPrune(session: Session, flags: PruneFlags): Promise<void> {
  const { subscription, olderThan, json, yes } = flags
  const before = new Date(Date.now() - olderThan)
  const whose = subscription === undefined ? '' : ` of ${subscription}`
  const what = `loses the dead letters${whose} that were finished before ${before.toISOString()}`
  const actor = actorOf(session, flags)
  const pruned = await session.withRawStore(flags.store, 'change', async (store) => {
    if (subscription !== undefined) await assertSubscription(store, subscription)
    await confirmStore(session, flags.store, { what, yes })
    return await store.deadLetters.prune({ before, subscription, actor, signal: session.signal })
  })
  const text =
    pruned === 0
      ? `no dead letter was finished more than ${durationText(olderThan)} ago`
      : `${counted(pruned, 'dead letter')} removed`
  await session.answer(json, { pruned }, text)
}
