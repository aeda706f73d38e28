import assert from 'node:assert/strict'
import type { Broker, BrokerMessage } from '../../ports/index.ts'
import { type Contract, type ContractCase, defineContract } from './contract.ts'
import { fresh } from './steps.ts'

/** A broker under test, made for one case. */
export interface BrokerSubject {
  readonly broker: Broker
  /**
   * What a receiver of the topic has got so far, in the order of each key; resolves once there are
   * `count` different ids, or a while has passed.
   */
  received(topic: string, count: number): Promise<readonly BrokerMessage[]>
  /**
   * Lets the next `publish` fail: before anything was taken, or with the answer lost after it.
   * Where it cannot be had, left out.
   */
  readonly fail?: (when: 'before' | 'after') => Promise<void> | void
  readonly dispose: () => Promise<void>
}

let serial = 0

function messageTo(topic: string, over: Partial<BrokerMessage> = {}): BrokerMessage {
  const n = ++serial
  return {
    ...{ id: fresh(`m${n}`), topic, key: 'k', type: 'Happened', payload: { n } },
    ...{ headers: {}, time: 1_700_000_000_000 + n },
    ...over,
  }
}

const messagesTo = (topic: string, count: number, over: Partial<BrokerMessage> = {}) =>
  Array.from({ length: count }, () => messageTo(topic, over))

const idsOf = (messages: readonly BrokerMessage[]) => messages.map(({ id }) => id)

/** The first delivery of each id: a broker may hand one over again. */
function firsts(messages: readonly BrokerMessage[]): readonly BrokerMessage[] {
  return [...new Map(messages.toReversed().map((one) => [one.id, one])).values()].toReversed()
}

type Run = (subject: BrokerSubject) => Promise<void>
const law = (name: string, run: Run): ContractCase<BrokerSubject> => ({ name, needs: [], run })

/** Publishes and expects exactly these to arrive, the first delivery of each in order. */
async function arrives(
  { broker, received }: BrokerSubject,
  topic: string,
  messages: readonly BrokerMessage[],
): Promise<void> {
  await broker.publish(messages)
  const got = firsts(await received(topic, messages.length))
  assert.deepEqual(got, messages)
}

const content: readonly ContractCase<BrokerSubject>[] = [
  law('broker: a message arrives with everything it had', async (subject) => {
    const topic = fresh('t')
    const headers = { actor: 'ada', 'x-trace': '00-1' }
    await arrives(subject, topic, [messageTo(topic, { headers, key: 'order-1' })])
  }),

  law('broker: payloads of every kind come back exactly', async (subject) => {
    const topic = fresh('t')
    const payloads = [
      null,
      '',
      0,
      -1.5,
      true,
      [],
      {},
      { a: [1, { b: null }] },
      'é👩\u200d👧\u0000\ud800',
    ]
    await arrives(
      subject,
      topic,
      payloads.map((payload) => messageTo(topic, { payload })),
    )
  }),

  law('broker: a payload of 256 KiB arrives whole', async (subject) => {
    const topic = fresh('t')
    await arrives(subject, topic, [messageTo(topic, { payload: 'x'.repeat(256 * 1024) })])
  }),

  law('broker: keys and types keep their text', async (subject) => {
    const topic = fresh('t')
    await arrives(subject, topic, [messageTo(topic, { key: 'Ünï-\u202e 1', type: "It's/one.two" })])
  }),

  law('broker: nothing to publish is no failure', async ({ broker, received }) => {
    await broker.publish([])
    assert.deepEqual(await received(fresh('t'), 0), [])
  }),
]

const order: readonly ContractCase<BrokerSubject>[] = [
  law('broker: messages of one key arrive in the order of the list', async (subject) => {
    const topic = fresh('t')
    await arrives(subject, topic, messagesTo(topic, 50))
  }),

  law('broker: the next call comes behind the one before', async ({ broker, received }) => {
    const topic = fresh('t')
    const all = messagesTo(topic, 30)
    for (let n = 0; n < all.length; n += 3) await broker.publish(all.slice(n, n + 3))
    assert.deepEqual(idsOf(firsts(await received(topic, 30))), idsOf(all))
  }),

  law('broker: each of many keys keeps its order', async ({ broker, received }) => {
    const topic = fresh('t')
    const all = Array.from({ length: 60 }, (_, n) => messageTo(topic, { key: `k${n % 7}` }))
    await broker.publish(all)
    const got = firsts(await received(topic, 60))
    assert.equal(got.length, 60)
    for (let n = 0; n < 7; n++) {
      const of = (messages: readonly BrokerMessage[]) =>
        idsOf(messages.filter(({ key }) => key === `k${n}`))
      assert.deepEqual(of(got), of(all))
    }
  }),

  law('broker: topics are kept apart', async ({ broker, received }) => {
    const [one, two] = [fresh('t'), fresh('t')]
    const all = [...messagesTo(one, 3), ...messagesTo(two, 2), ...messagesTo(one, 1)]
    await broker.publish(all)
    const of = (topic: string) => idsOf(all.filter((message) => message.topic === topic))
    assert.deepEqual(idsOf(firsts(await received(one, 4))), of(one))
    assert.deepEqual(idsOf(firsts(await received(two, 2))), of(two))
  }),

  law('broker: calls for other keys may overlap', async ({ broker, received }) => {
    const topic = fresh('t')
    const lists = ['a', 'b', 'c'].map((key) => messagesTo(topic, 10, { key }))
    await Promise.all(lists.map((list) => broker.publish(list)))
    const got = firsts(await received(topic, 30))
    for (const list of lists) {
      const key = list[0]?.key
      assert.deepEqual(idsOf(got.filter((message) => message.key === key)), idsOf(list))
    }
  }),
]

const failures: readonly ContractCase<BrokerSubject>[] = [
  law('broker: the same messages again keep their ids', async ({ broker, received }) => {
    const topic = fresh('t')
    const all = messagesTo(topic, 5)
    await broker.publish(all)
    await broker.publish(all)
    assert.deepEqual(new Set(idsOf(await received(topic, 5))), new Set(idsOf(all)))
  }),

  law('broker: what is refused is said, and can be published again', async (subject) => {
    const { broker, received, fail } = subject
    if (fail === undefined) return
    for (const when of ['before', 'after'] as const) {
      const topic = fresh('t')
      const all = messagesTo(topic, 4)
      await fail(when)
      await assert.rejects(() => broker.publish(all))
      await broker.publish(all)
      assert.deepEqual(idsOf(firsts(await received(topic, 4))), idsOf(all))
    }
  }),

  law('broker: changing what was published changes nothing', async ({ broker, received }) => {
    const topic = fresh('t')
    const payload = { n: 1 }
    const list = [messageTo(topic, { payload })]
    await broker.publish(list)
    payload.n = 2
    list.length = 0
    assert.deepEqual((await received(topic, 1))[0]?.payload, { n: 1 })
  }),

  law('broker: close may be called twice', async ({ broker }) => {
    await broker.close()
    await broker.close()
  }),
]

/**
 * Every law of the broker port as cases, for whoever writes one.
 *
 * @example
 * ```ts
 * import { brokerContract, memoryBroker, runBrokerCase } from 'eventuali/testing'
 *
 * const make = async () => {
 *   const broker = memoryBroker()
 *   const received = async (topic: string) => broker.published.filter((m) => m.topic === topic)
 *   return { broker, received, dispose: () => broker.close() }
 * }
 * for (const law of brokerContract.cases) await runBrokerCase(law, make)
 * ```
 */
export const brokerContract: Contract<BrokerSubject> = defineContract('broker', [
  ...content,
  ...order,
  ...failures,
])

/**
 * Runs one case on a broker of its own; rejects when the broker breaks the case's law.
 *
 * @example
 * ```ts
 * import { brokerContract, memoryBroker, runBrokerCase } from 'eventuali/testing'
 *
 * const broker = memoryBroker()
 * const received = async (topic: string) => broker.published.filter((m) => m.topic === topic)
 * const make = async () => ({ broker, received, dispose: async () => {} })
 * const [first] = brokerContract.cases
 * if (first !== undefined) await runBrokerCase(first, make)
 * ```
 */
export async function runBrokerCase(
  contractCase: ContractCase<BrokerSubject>,
  make: () => Promise<BrokerSubject>,
): Promise<void> {
  const subject = await make()
  try {
    await contractCase.run(subject)
  } finally {
    await subject.dispose()
  }
}
