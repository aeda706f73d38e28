import type { RecordedEvent } from '../../model/index.ts'
import type { StoredRecord } from '../../ports/index.ts'
import { headOfKey, letterValue, movedLetter, requestNext, storedError } from '../ledger/letters.ts'
import { recordKinds } from '../ledger/values.ts'
import type { AttemptContext, Outcome, Work } from './attempt.ts'

/**
 * Handles the event of a dead letter again. Gives the next letter to handle (the same one when the
 * storage did not answer), `parked` when it has failed or is nobody's business any more, or
 * undefined when nothing of its key is left.
 *
 * A key whose order is kept goes on by itself letter by letter until one fails: the ones behind
 * the first have only waited for it.
 */
export async function retryLetter(
  letter: StoredRecord,
  context: AttemptContext,
  tryOnce: (work: Work) => Promise<Outcome>,
): Promise<StoredRecord | 'parked' | undefined> {
  const { port, options, checkpoint, clock } = context
  const [current] = await port.records.get(recordKinds.letter, [letter.key])
  if (current?.state !== 'requested') return afterIt(letter, context)
  const event = await eventAt(context, letterValue(current).position)
  if (event === undefined) {
    const note = 'the event is no longer in the log'
    await port.transaction(async (tx) => {
      await checkpoint.assertHeld(tx)
      await tx.records.write([movedLetter(current, 'discarded', { note, finishedAt: clock.now() })])
      await tx.records.write(await requestNext(tx.records, letterValue(current)))
    })
    return afterIt(letter, context)
  }
  const { attempts } = letterValue(current)
  const work = { events: [event], followers: [], position: undefined, attempt: attempts }
  const outcome = await tryOnce({ ...work, letter: current })
  if (outcome.kind === 'done') return afterIt(letter, context)
  if (outcome.kind !== 'failed') return outcome.kind === 'trouble' ? current : 'parked'
  const parked = movedLetter(current, 'parked', {
    attempts: attempts + 1,
    reason: 'failed',
    error: storedError(outcome.error),
  })
  await port.transaction(
    async (tx) => {
      await checkpoint.assertHeld(tx)
      await tx.records.write([parked])
    },
    { timeoutMs: options.timeoutMs },
  )
  return 'parked'
}

async function afterIt(
  letter: StoredRecord,
  { port, options }: AttemptContext,
): Promise<StoredRecord | 'parked' | undefined> {
  const { ordered, key } = letterValue(letter)
  if (!ordered) return 'parked'
  const head = await headOfKey(port.records, options.name, key)
  return head?.state === 'parked' ? 'parked' : head
}

async function eventAt(
  { port }: AttemptContext,
  position: number,
): Promise<RecordedEvent | undefined> {
  const query = { after: position - 1, upTo: position, includeArchived: true, limit: 1 }
  for await (const page of port.readLog({ ...query, direction: 'forward' })) return page[0]
  return undefined
}
