import { Command, Option } from 'commander'
import { type CodecOptions, type CompressionName, type EncodingName, recode } from 'eventuali'
import { jsonOption, storeOption, wholeNumber } from './arguments.ts'
import { UsageError } from './exit-codes.ts'
import { count, counted } from './numbers.ts'
import { ProgressBar } from './progress-bar.ts'
import type { Session } from './session.ts'

interface RecodeFlags {
  readonly store?: string
  readonly to: EncodingName
  readonly compress?: CompressionName
  readonly above?: number
  readonly batch: number
  readonly json?: boolean
}

const BATCH_MAX = 10_000
const BYTES_MAX: number = 16 * 1024 * 1024

/** `recode` */
export function recodeCommand(session: Session): Command {
  const encoding = new Option('--to <encoding>', 'json, which SQL can look into, or msgpack')
  const compression = new Option('--compress <codec>', 'compress large data')
  return new Command('recode')
    .description('store the data of all events in another way, in place, resumably')
    .addOption(storeOption())
    .addOption(encoding.choices(['json', 'msgpack']).makeOptionMandatory())
    .addOption(compression.choices(['gzip', 'brotli', 'zstd', 'lz4', 'snappy']))
    .option('--above <bytes>', 'compress only more than this; 1024', wholeNumber(0, BYTES_MAX))
    .option('--batch <n>', 'events in one transaction', wholeNumber(1, BATCH_MAX), 500)
    .addOption(jsonOption('the result as one line of JSON'))
    .addHelpText('after', '\nExample:\n  eventuali recode --to msgpack --compress zstd')
    .action((flags: RecodeFlags) => runRecode(session, flags))
}

function codecOf({ to, compress, above }: RecodeFlags): CodecOptions {
  if (compress === undefined) {
    if (above !== undefined) throw new UsageError('--above needs --compress')
    return { encoding: to }
  }
  return { encoding: to, compress: { with: compress, above } }
}

async function runRecode(session: Session, flags: RecodeFlags): Promise<void> {
  const codec = codecOf(flags)
  const bar = new ProgressBar(session.io)
  const result = await session.withRawStore(flags.store, 'write', async (store) => {
    try {
      return await recode(store, {
        codec,
        batchSize: flags.batch,
        signal: session.signal,
        onProgress: ({ position, upTo, changed }) =>
          bar.show(position / upTo, `${counted(changed, 'event')} recoded`),
      })
    } finally {
      bar.clear()
    }
  })
  if (flags.json === true) {
    await session.output.write(`${JSON.stringify(result)}\n`)
    return
  }
  const { events, changed, bytesBefore, bytesAfter, resumedAfter } = result
  const from = resumedAfter > 0 ? ` after position ${count(resumedAfter)}` : ''
  await session.output.write(
    `${counted(changed, 'event')} of ${count(events)} recoded${from}: ` +
      `${count(bytesBefore)} bytes of data are ${count(bytesAfter)} now\n`,
  )
}
