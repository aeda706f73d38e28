import { Command } from 'commander'
import type { VerifyReport } from 'eventuali'
import { jsonOption, storeOption } from './arguments.ts'
import { SilentFailure } from './exit-codes.ts'
import { count, counted } from './numbers.ts'
import { ProgressBar } from './progress-bar.ts'
import type { Session } from './session.ts'
import { harmless } from './text-width.ts'

interface VerifyFlags {
  readonly store?: string
  readonly json?: boolean
}

const SHOWN_MAX = 50

/** `verify` */
export function verifyCommand(session: Session): Command {
  return new Command('verify')
    .description('prove the log: versions, ids, positions, checksums')
    .addOption(storeOption())
    .addOption(jsonOption('the report as one line of JSON'))
    .action((flags: VerifyFlags) => runVerify(session, flags))
}

async function runVerify(session: Session, flags: VerifyFlags): Promise<void> {
  const bar = new ProgressBar(session.io)
  const report = await session.withStore(flags.store, 'read', async (store) => {
    try {
      const { signal } = session
      const onProgress = (events: number) => bar.show(undefined, counted(events, 'event'))
      return await store.verify({ signal, onProgress })
    } finally {
      bar.clear()
    }
  })
  await session.output.write(flags.json === true ? `${JSON.stringify(report)}\n` : textOf(report))
  if (!report.ok) throw new SilentFailure()
}

function textOf(report: VerifyReport): string {
  const { events, streams, problems, problemCount } = report
  const sum = `${counted(events, 'event')}, ${counted(streams, 'stream')}`
  if (report.ok) return `${sum}: no problems\n`
  let text = ''
  for (const { kind, position, stream, reason } of problems.slice(0, SHOWN_MAX)) {
    const where = [
      position === undefined ? '' : ` position ${position}`,
      stream === undefined ? '' : ` stream ${stream}`,
    ].join('')
    text += `${harmless(`${kind}${where}: ${reason}`)}\n`
  }
  if (problemCount > SHOWN_MAX) text += `and ${count(problemCount - SHOWN_MAX)} more\n`
  return `${text}${sum}: ${counted(problemCount, 'problem')}\n`
}
