import type { Clock, IdSource } from '../../kernel/index.ts'
import type { EventStore, RecordChange, StoredRecord, StoreTransaction } from '../../ports/index.ts'
import { auditChange } from './audit.ts'
import { recordsChanged } from './hints.ts'
import { partitionOf } from './key-hash.ts'
import {
  keyPrefix,
  type LetterState,
  type LetterValue,
  lettersIn,
  letterValue,
  movedLetter,
  requestNext,
} from './letters.ts'
import { letterPrefix, partitionKeys, recordKinds, type SubscriptionValue } from './values.ts'

/** What a change of many letters works with. */
export interface LetterContext {
  readonly port: EventStore
  readonly runtime: { readonly clock: Clock; readonly ids: IdSource }
  readonly timeoutMs: number
}

/** Letters that are changed in one transaction, at most. */
const BATCH = 500

/** Ids of the parked letters of a subscription, or of one of its keys. */
const prefixOf = (subscription: string, key: string | undefined): string =>
  key === undefined ? letterPrefix(subscription) : keyPrefix(subscription, key)

/** Which letters are changed, by whom. */
export interface LetterBatch {
  readonly subscription: string
  readonly key: string | undefined
  readonly actor: string
  readonly signal: AbortSignal | undefined
}

/** Has the parked letters handled again; gives how many keys or letters. */
export async function requestAll(context: LetterContext, which: LetterBatch): Promise<number> {
  const { subscription, key: only, actor, signal } = which
  let lastKey: string | undefined
  const letters = firstOfKeys()
  async function* firstOfKeys(): AsyncGenerator<StoredRecord> {
    const prefix = prefixOf(subscription, only)
    for await (const letter of lettersIn(context.port.records, prefix, 'parked')) {
      const { ordered, key } = letterValue(letter)
      // The first one of a key pulls the others.
      if (ordered && key === lastKey) continue
      lastKey = ordered ? key : undefined
      yield letter
    }
  }
  return inBatches(context, letters, signal, async (tx, batch) => {
    const details = { letters: batch.length, ...(only === undefined ? {} : { key: only }) }
    const audit = { actor, action: 'letter.retry-all', subject: subscription, details }
    const changes = batch.map((letter) => movedLetter(letter, 'requested'))
    await tx.records.write([...changes, auditChange(context.runtime, audit)])
    return batch.length
  })
}

/** Gives the parked letters up; gives how many. */
export async function discardAll(
  context: LetterContext,
  which: LetterBatch & { readonly reason: string },
): Promise<number> {
  const { subscription, key: only, actor, signal, reason: note } = which
  const { port, runtime } = context
  const letters = lettersIn(port.records, prefixOf(subscription, only), 'parked')
  // A key may go on in the next batch: what is left of it is asked for behind its last letter.
  let open: LetterValue | undefined
  const goOn = async (tx: StoreTransaction, values: readonly LetterValue[]) => {
    for (const value of values) await tx.records.write(await requestNext(tx.records, value))
  }
  const done = await inBatches(context, letters, signal, async (tx, batch) => {
    const keys = new Map(batch.map((letter) => [letterValue(letter).key, letterValue(letter)]))
    const all = open === undefined ? keys : new Map([[open.key, open], ...keys])
    await lockPartitions(tx, subscription, [...all.keys()])
    const parked = await stillIn(tx, batch, ['parked'])
    const finishedAt = runtime.clock.now()
    const details = { letters: parked.length, reason: note, ...(only && { key: only }) }
    const audit = { actor, action: 'letter.discard-all', subject: subscription, details }
    await tx.records.write([
      ...parked.map((letter) => movedLetter(letter, 'discarded', { note, finishedAt })),
      auditChange(runtime, audit),
    ])
    const last = [...keys.values()].at(-1)
    await goOn(
      tx,
      [...all.values()].filter(({ key }) => key !== last?.key),
    )
    open = last
    return parked.length
  })
  const rest = open
  if (rest !== undefined) {
    await transaction(context, async (tx) => {
      await lockPartitions(tx, subscription, [rest.key])
      await goOn(tx, [rest])
    })
  }
  return done
}

/** Removes letters that were finished before a time; gives how many. */
export async function pruneLetters(
  context: LetterContext,
  {
    subscription,
    before,
    actor,
    signal,
  }: {
    readonly subscription: string | undefined
    readonly before: Date
    readonly actor: string
    readonly signal: AbortSignal | undefined
  },
): Promise<number> {
  const { port, runtime } = context
  const states = ['done', 'discarded'] as const
  const time = before.getTime()
  async function* finished(): AsyncGenerator<StoredRecord> {
    const prefix = subscription === undefined ? undefined : letterPrefix(subscription)
    for (const state of states) {
      for await (const letter of lettersIn(port.records, prefix, state)) {
        const { finishedAt, parkedAt } = letterValue(letter)
        if ((finishedAt ?? parkedAt) < time) yield letter
      }
    }
  }
  return inBatches(context, finished(), signal, async (tx, batch) => {
    const gone = await stillIn(tx, batch, states)
    const details = { letters: gone.length, before: before.toISOString() }
    const audit = { actor, action: 'letter.prune', subject: subscription ?? '', details }
    const removed = gone.map(({ kind, key, revision }): RecordChange => {
      return { kind, key, expected: revision }
    })
    await tx.records.write([...removed, auditChange(runtime, audit)])
    return gone.length
  })
}

async function inBatches(
  context: LetterContext,
  letters: AsyncIterable<StoredRecord>,
  signal: AbortSignal | undefined,
  change: (tx: StoreTransaction, batch: readonly StoredRecord[]) => Promise<number>,
): Promise<number> {
  let count = 0
  let batch: StoredRecord[] = []
  const flush = async () => {
    signal?.throwIfAborted()
    const taken = batch
    batch = []
    count += await transaction(context, (tx) => change(tx, taken))
  }
  signal?.throwIfAborted()
  for await (const letter of letters) {
    batch.push(letter)
    if (batch.length === BATCH) await flush()
  }
  if (batch.length > 0) await flush()
  return count
}

async function transaction<T>(
  { port, timeoutMs }: LetterContext,
  work: (tx: StoreTransaction) => Promise<T>,
): Promise<T> {
  const result = await port.transaction(work, { timeoutMs })
  recordsChanged(port)
  return result
}

/** The letters of a batch that nobody has changed since, as they are: locked, and in a state. */
async function stillIn(
  tx: StoreTransaction,
  batch: readonly StoredRecord[],
  states: readonly LetterState[],
): Promise<readonly StoredRecord[]> {
  const keys = batch.map(({ key }) => key)
  const found = await tx.records.lock(recordKinds.letter, keys)
  return found.filter(
    (letter): letter is StoredRecord =>
      letter !== undefined && states.includes(letter.state as LetterState),
  )
}

/** From here on no owner parks behind letters of these keys. */
export async function lockPartitions(
  tx: StoreTransaction,
  subscription: string,
  keys: readonly string[],
): Promise<void> {
  const [record] = await tx.records.lock(recordKinds.subscription, [subscription])
  if (record === undefined) return
  const { generation, partitions } = record.value as SubscriptionValue
  const all = partitionKeys(subscription, generation, partitions)
  const wanted = new Set(keys.map((key) => all[partitionOf(key, partitions)]))
  const known = [...wanted].filter((key): key is string => key !== undefined).sort()
  if (known.length > 0) await tx.records.lock(recordKinds.partition, known)
}
