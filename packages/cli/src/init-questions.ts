import type { Readable } from 'node:stream'
import { confirm, intro, isCancel, outro, select, text } from '@clack/prompts'
import { Interrupted, SilentFailure } from './exit-codes.ts'
import type { Session } from './session.ts'

/** What a person decides, or the flags have decided. */
export interface InitChoice {
  readonly store: string
  readonly aggregate: string
}

/** The rule for an aggregate's name: it becomes part of names in code and of streams. */
export const AGGREGATE: RegExp = /^[a-z][A-Za-z0-9]{0,39}$/
export const aggregateRule: string = 'letters and digits, a small letter first: order, lineItem'

export const choiceDefaults: InitChoice = { store: 'sqlite:eventuali.db', aggregate: 'order' }

/** Asks at the terminal for what the flags leave open. Throws Interrupted on Ctrl-C or Escape. */
export async function askChoice(session: Session, given: Partial<InitChoice>): Promise<InitChoice> {
  const common = commonOf(session)
  intro('A new store', common)
  const store = given.store ?? (await askStore(session, common))
  const aggregate =
    given.aggregate ??
    answered(
      session,
      await text({
        ...common,
        message: 'An aggregate to begin with: what has a history?',
        initialValue: choiceDefaults.aggregate,
        validate: (name) => (AGGREGATE.test(name ?? '') ? undefined : aggregateRule),
      }),
    )
  return { store, aggregate }
}

type Common = ReturnType<typeof commonOf>

function commonOf({ io, signal }: Session) {
  // At a terminal standard input is a stream. Questions are no data: they go to standard error.
  return { input: io.stdin as unknown as Readable, output: io.stderr, signal }
}

async function askStore(session: Session, common: Common): Promise<string> {
  const kind = answered(
    session,
    await select({
      ...common,
      message: 'Where are the events?',
      options: [
        { value: 'sqlite', label: 'SQLite', hint: 'one file in this folder' },
        { value: 'postgres', label: 'Postgres', hint: 'a server; needs the package pg' },
      ],
    }),
  )
  const isFile = kind === 'sqlite'
  const answer = answered(
    session,
    await text({
      ...common,
      message: isFile ? 'Which file?' : 'Which database?',
      ...(isFile
        ? { initialValue: choiceDefaults.store.slice('sqlite:'.length) }
        : { placeholder: `postgres://app:\${env:DB_PASSWORD}@localhost/shop` }),
      validate: (value = '') => {
        if (value === '') return 'say where'
        return isFile || /^postgres(ql)?:\/\/./.test(value) ? undefined : 'begin with postgres://'
      },
    }),
  )
  return isFile ? `sqlite:${answer}` : answer
}

/** Whether to do what was listed. */
export async function askToWrite(session: Session, lines: readonly string[]): Promise<void> {
  const common = commonOf(session)
  const message = `Write this?\n${lines.join('\n')}`
  const agreed = answered(session, await confirm({ ...common, message }))
  outro(agreed ? 'Writing' : 'Nothing was written', common)
  if (!agreed) throw new SilentFailure()
}

function answered<T>(session: Session, answer: T): Exclude<T, symbol> {
  if (!isCancel(answer)) return answer as Exclude<T, symbol>
  session.interrupt()
  throw new Interrupted()
}
