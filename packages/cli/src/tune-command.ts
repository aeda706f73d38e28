import { Command } from 'commander'
import type { TuningAdvice } from 'eventuali'
import { jsonOption, storeOption, wholeNumber } from './arguments.ts'
import { UsageError } from './exit-codes.ts'
import type { Session } from './session.ts'
import { harmless } from './text-width.ts'

interface TuneFlags {
  readonly store?: string
  readonly apply?: true | readonly string[]
  readonly timeout?: number
  readonly json?: boolean
}

const MINUTES_MAX: number = 7 * 24 * 60

/** `tune` */
export function tuneCommand(session: Session): Command {
  return new Command('tune')
    .description('say what would do the storage good, and do it on request')
    .addOption(storeOption())
    .option('--apply [names...]', 'do it: the named advice, or all that concerns the store alone')
    .option('--timeout <minutes>', 'give up after; 60', wholeNumber(1, MINUTES_MAX))
    .addOption(jsonOption('the advice, one per line'))
    .addHelpText('after', '\nExample:\n  eventuali tune --store sqlite:shop.db')
    .action((flags: TuneFlags) => runTune(session, flags))
}

async function runTune(session: Session, flags: TuneFlags): Promise<void> {
  const { apply, timeout } = flags
  const names = apply === true ? 'all' : (apply ?? [])
  if (Array.isArray(apply) && apply.length === 0) throw new UsageError('--apply names nothing')
  const advice = await session.withRawStore(flags.store, 'change', (store) =>
    store.tune({
      ...{ apply: names, signal: session.signal },
      timeoutMs: timeout === undefined ? undefined : timeout * 60_000,
    }),
  )
  if (flags.json === true) {
    await session.output.write(advice.map((one) => `${JSON.stringify(one)}\n`).join(''))
    return
  }
  await session.output.write(textOf(advice))
}

function textOf(advice: readonly TuningAdvice[]): string {
  if (advice.length === 0) return 'nothing to do: what is set fits what is there\n'
  const parts = advice.map(({ name, scope, now, suggested, why, statement, applied }) => {
    const whose = scope === 'server' ? ' (for whoever runs the server)' : ''
    const done = applied ? 'done' : 'would run'
    return harmlessLines([
      `${name}${whose}: ${now}; better: ${suggested}`,
      `  ${why}`,
      `  ${done}: ${statement}`,
    ])
  })
  const open = advice.some(({ scope, applied }) => scope === 'store' && !applied)
  return `${parts.join('\n')}${open ? '\n--apply does what concerns the store alone\n' : ''}`
}

const harmlessLines = (lines: readonly string[]): string =>
  lines.map((line) => `${harmless(line)}\n`).join('')
