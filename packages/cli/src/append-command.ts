import { Command, InvalidArgumentError } from 'commander'
import type { EventInput, EventMetadata, ExpectedVersion } from 'eventuali'
import { type Bound, bound, json, jsonOption, repeated, storeOption } from './arguments.ts'
import { UsageError } from './exit-codes.ts'
import type { Session } from './session.ts'

interface AppendFlags {
  readonly store?: string
  readonly id?: string
  readonly expect?: ExpectedVersion
  readonly metadata?: unknown
  readonly tag?: readonly string[]
  readonly time?: Bound
  readonly json?: boolean
}

/** `append STREAM TYPE DATA` */
export function appendCommand(session: Session): Command {
  return new Command('append')
    .description('append one event')
    .argument('<stream>', 'name of the stream')
    .argument('<type>', 'type of the event')
    .argument('<data>', 'its data as JSON', json)
    .addOption(storeOption())
    .option('--id <id>', 'makes it safe to run twice: the second run stores nothing')
    .option('--expect <version>', 'a number (0: no such stream), any or exists', expectation)
    .option('--metadata <json>', 'an object', json)
    .option('--tag <tag>', 'may be repeated', repeated)
    .option('--time <time>', 'when it happened (2013-01-31T10:15:00Z); now', bound)
    .addOption(jsonOption('print the recorded event as JSON'))
    .addHelpText(
      'after',
      '\nExample:\n  eventuali append order-1 OrderPlaced \'{"total": 30}\' --expect 0',
    )
    .action((stream: string, type: string, data: unknown, flags: AppendFlags) =>
      runAppend(session, stream, type, data, flags),
    )
}

function expectation(text: string): ExpectedVersion {
  if (text === 'any' || text === 'exists') return text
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  throw new InvalidArgumentError(
    'It must be a number (0: the stream must not exist), any or exists.',
  )
}

async function runAppend(
  session: Session,
  stream: string,
  type: string,
  data: unknown,
  flags: AppendFlags,
): Promise<void> {
  const { id, expect = 'any', metadata, tag: tags, time } = flags
  if (time !== undefined && !('time' in time)) throw new UsageError('--time is not a time')
  const isObject = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata)
  if (metadata !== undefined && !isObject) throw new UsageError('--metadata is not a JSON object')
  const event: EventInput = {
    ...{ type, data },
    ...(id === undefined ? {} : { id }),
    ...(tags === undefined ? {} : { tags }),
    ...(time === undefined ? {} : { time: time.time }),
    ...(metadata === undefined ? {} : { metadata: metadata as EventMetadata }),
  }
  const { signal } = session
  await session.withStore(flags.store, 'write', async (store) => {
    const result = await store.append(stream, event, { expectedVersion: expect, signal })
    const { version, position } = result
    const isKnown = result.duplicate === true
    const text =
      flags.json === true
        ? JSON.stringify(result.events[0])
        : `${isKnown ? 'known already: ' : ''}${stream} version ${version}, position ${position}`
    await session.output.write(`${text}\n`)
  })
}
