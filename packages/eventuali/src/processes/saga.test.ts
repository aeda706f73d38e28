import { afterEach, expect, it } from 'vitest'
import { describeStores } from '../../test/harness/adapter-stores.ts'
import {
  countsOf,
  logOf,
  orders,
  Program,
  saga,
  start,
  trouble,
  until,
  wallClock,
} from './saga.test-support.ts'

const programs: Program[] = []
afterEach(async () => {
  Object.assign(trouble, { reserve: undefined, refund: undefined })
  await Promise.all(programs.splice(0).map((program) => program.stop()))
})

function run(program: Program): Program {
  programs.push(program)
  return program
}

const placed = (total: number) => orders.OrderPlaced({ total, sku: 'tea' })

for (const kind of ['record', 'events'] as const) {
  describeStores(`a saga with its state as ${kind}`, ({ open }) => {
    it('charges, reserves, confirms, and ends', async () => {
      const store = await open()
      const program = run(new Program(store, [saga(kind)], wallClock(start)))
      await program.restock(1)
      await program.processes.start()
      await program.append('order-1', placed(30))
      await program.rest()
      expect(
        (await logOf(store))
          .filter(({ type }) => type !== 'ProcessReceived')
          .map(({ type }) => type),
      ).toEqual(['Restocked', 'OrderPlaced', 'Charged', 'Reserved', 'OrderConfirmed'])
      const info = await program.processes.get('fulfilment', '1')
      expect(info).toMatchObject({ status: 'completed', commandsWaiting: 0, deadlines: [] })
      if (kind === 'record') expect(info?.state).toEqual({ order: '1', status: 'confirmed' })
      const charged = (await logOf(store)).find(({ type }) => type === 'Charged')
      const cause = (await logOf(store)).find(({ type }) => type === 'OrderPlaced')
      expect(charged?.metadata.correlationId).toBe(cause?.id)
    })

    it('takes back what was done when a later step is refused', async () => {
      const store = await open()
      const program = run(new Program(store, [saga(kind)], wallClock(start)))
      await program.processes.start()
      await program.append('order-1', placed(30))
      await program.rest()
      expect(await countsOf(store)).toEqual({
        OrderPlaced: 1,
        Charged: 1,
        Refunded: 1,
        OrderCancelled: 1,
      })
      const cancelled = (await logOf(store)).find(({ type }) => type === 'OrderCancelled')
      expect(cancelled?.data).toEqual({ why: 'nothing left' })
      expect(await program.processes.get('fulfilment', '1')).toMatchObject({
        status: 'compensated',
        reason: 'nothing left',
      })
    })

    it('takes nothing back when the first step is refused, and says so', async () => {
      const store = await open()
      const program = run(new Program(store, [saga(kind)], wallClock(start)))
      await program.restock(1)
      await program.processes.start()
      await program.append('order-1', placed(101))
      await program.rest()
      expect(await countsOf(store)).toEqual({ Restocked: 1, OrderPlaced: 1, OrderCancelled: 1 })
    })
  })
}

describeStores('a stuck process', ({ open }) => {
  it('is seen, holds its events, and goes on when it is resumed', async () => {
    const store = await open()
    const program = run(new Program(store, [saga()], wallClock(start)))
    await program.restock(5)
    await program.processes.start()
    trouble.reserve = () => {
      throw new Error('the shelf fell down')
    }
    await program.append('order-1', placed(30))
    const { processes } = program
    await until(
      async () => (await processes.list({ name: 'fulfilment', status: 'stuck' })).length === 1,
      'stuck',
    )
    const info = await processes.get('fulfilment', '1')
    expect(info?.reason).toBe('the shelf fell down')
    expect(info?.stuck).toMatchObject({ cause: { kind: 'command' }, resumesAs: 'running' })
    expect(info?.commands).toMatchObject([{ state: 'stuck', attempts: 3 }])
    expect(await countsOf(store)).toEqual({ Restocked: 1, OrderPlaced: 1, Charged: 1 })
    // Others are not held up.
    trouble.reserve = undefined
    await program.append('order-2', placed(30))
    await program.rest()
    expect((await processes.get('fulfilment', '2'))?.status).toBe('completed')
    await processes.resume('fulfilment', '1', { actor: 'ada', reason: 'put it up again' })
    await program.rest()
    expect((await processes.get('fulfilment', '1'))?.status).toBe('completed')
    expect(await countsOf(store)).toMatchObject({ Charged: 2, Reserved: 2, OrderConfirmed: 2 })
    const audit = await store.records.list({ kind: 'audit', limit: 10 })
    expect(audit.map(({ value }) => value)).toMatchObject([
      { actor: 'ada', action: 'process.resume', subject: 'fulfilment/1' },
    ])
    await expect(processes.resume('fulfilment', '1')).rejects.toMatchObject({
      code: 'PROCESS_STATE',
    })
    await expect(processes.resume('fulfilment', 'x')).rejects.toMatchObject({
      code: 'PROCESS_NOT_FOUND',
    })
  })

  it('may skip the step, take all back, or be cancelled', async () => {
    const store = await open()
    const program = run(new Program(store, [saga()], wallClock(start)))
    await program.restock(5)
    await program.processes.start()
    trouble.reserve = () => {
      throw new Error('the shelf fell down')
    }
    const { processes } = program
    for (const id of ['1', '2', '3']) await program.append(`order-${id}`, placed(30))
    await until(
      async () => (await processes.list({ name: 'fulfilment', status: 'stuck' })).length === 3,
      'stuck',
    )
    await processes.skip('fulfilment', '1')
    await processes.compensate('fulfilment', '2', { reason: 'no shelf' })
    await processes.cancel('fulfilment', '3', { reason: 'given up' })
    await program.rest()
    expect(await processes.get('fulfilment', '1')).toMatchObject({ status: 'running' })
    expect(await processes.get('fulfilment', '2')).toMatchObject({ status: 'compensated' })
    expect(await processes.get('fulfilment', '3')).toMatchObject({
      status: 'cancelled',
      reason: 'given up',
      deadlines: [],
    })
    expect(await processes.deadlines('fulfilment')).toHaveLength(1)
    expect(await countsOf(store)).toMatchObject({ Charged: 3, Refunded: 1, OrderCancelled: 1 })
  })

  it('keeps a step that cannot be taken back until somebody helps', async () => {
    const store = await open()
    const clock = wallClock(start)
    const program = run(new Program(store, [saga()], clock))
    await program.processes.start()
    const fail = () => {
      throw new Error('jammed')
    }
    Object.assign(trouble, { reserve: fail, refund: fail })
    await program.append('order-1', placed(30))
    const { processes } = program
    const isStuck = async () => (await processes.get('fulfilment', '1'))?.status === 'stuck'
    await until(isStuck, 'stuck')
    clock.add(31 * 60_000)
    await program.rest()
    // A deadline of a stuck process waits with it.
    const held = [{ process: 'fulfilment', key: '1', state: 'held' }]
    expect(await processes.deadlines('fulfilment', '1')).toMatchObject(held)
    expect(await processes.schedules.upcoming()).toMatchObject(held)
    await processes.compensate('fulfilment', '1', { reason: 'jammed' })
    await until(isStuck, 'stuck again')
    expect(await processes.get('fulfilment', '1')).toMatchObject({
      stuck: { cause: { kind: 'command' }, resumesAs: 'compensating' },
      commands: [{ isUndo: true, state: 'stuck' }],
      deadlines: [],
    })
    trouble.refund = undefined
    await processes.resume('fulfilment', '1')
    await program.rest()
    expect(await processes.get('fulfilment', '1')).toMatchObject({ status: 'compensated' })
    expect(await countsOf(store)).toMatchObject({ Charged: 1, Refunded: 1, OrderCancelled: 1 })
  })
})
