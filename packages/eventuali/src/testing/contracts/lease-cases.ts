import assert from 'node:assert/strict'
import { seededRandom } from '../../kernel/index.ts'
import { type EventStoreContext, law } from './context.ts'
import { type Contract, type ContractCase, defineContract } from './contract.ts'
import { type JoinLease, joinLease } from './lease.ts'
import { type Actor, LeaseStage, POLL_MS, STEP_MS, TTL_MS } from './lease-stage.ts'

const hourMs = 3_600_000
/** From a frozen owner to the next one, on the candidate's clock. */
const takeoverMs = TTL_MS + POLL_MS + STEP_MS

type Play = (stage: LeaseStage) => Promise<void>

function staged(join: JoinLease, play: Play): (ctx: EventStoreContext) => Promise<void> {
  return async (ctx) => {
    const stage = new LeaseStage(ctx, join)
    try {
      await play(stage)
    } finally {
      await stage.end()
    }
  }
}

const staysPut: Play = async (stage) => {
  const actors = [await stage.join(), await stage.join(), await stage.join()] as const
  for (let i = 0; i < 3; i++) {
    await stage.pass(TTL_MS, ...actors)
    assert.deepEqual(stage.owners(), ['m1'])
  }
  assert.equal(actors[0].member.epoch, 1)
}

const isTakenOver: Play = async (stage) => {
  await stage.join()
  const second = await stage.join()
  assert.deepEqual(stage.owners(), ['m1'])
  // The first one is frozen: its clock stands still.
  await stage.pass(takeoverMs, second)
  assert.equal(second.member.epoch, 2)
}

const waitsAWholeTtl: Play = async (stage) => {
  const first = await stage.join()
  // Its beat is old already when the second one comes; that one has not seen how old.
  await stage.pass(TTL_MS / 2 - 2 * STEP_MS, first)
  const second = await stage.join()
  await stage.pass(TTL_MS - 2 * STEP_MS, second)
  assert.equal(second.member.epoch, undefined)
  await stage.pass(POLL_MS + 3 * STEP_MS, second)
  assert.equal(second.member.epoch, 2)
}

const wallClocksJump: Play = async (stage) => {
  const actors = [await stage.join(), await stage.join()] as const
  for (let i = 0; i < 60; i++) {
    const { clock } = actors[i % 3 === 0 ? 0 : 1]
    clock.set(clock.now() + (i % 2 === 0 ? 1 : -1) * hourMs * ((i % 5) + 1))
    await stage.pass(60, ...actors)
    assert.deepEqual(stage.owners(), ['m1'])
  }
  assert.equal(actors[0].member.epoch, 1)
}

const staleIsRefused: Play = async (stage) => {
  await stage.join()
  await stage.give()
  const second = await stage.join()
  await stage.pass(takeoverMs, second)
  // By the first one's clock no time has passed: it takes itself for the owner and works.
  assert.deepEqual(stage.owners(), ['m1', 'm2'])
  await stage.give()
  await stage.give()
  await stage.finish(second)
  assert.deepEqual(await stage.workers(), ['m1', 'm2', 'm2'])
  assert.deepEqual(await stage.epochs(), [1, 2, 2])
}

const movesAtAStop: Play = async (stage) => {
  const first = await stage.join()
  const second = await stage.join()
  await stage.stop(first)
  await stage.pass(2 * POLL_MS, second)
  assert.equal(second.member.epoch, 2)
}

/** Members that freeze, wake, leave, join, and whose wall clocks jump, while there is work. */
const neverTwoOwners: Play = async (stage) => {
  const random = seededRandom(4)
  const chance = (count: number) => Math.floor(random.next() * count)
  const actors: Actor[] = [await stage.join(), await stage.join(), await stage.join()]
  let together = 0
  for (let round = 0; round < 80; round++) {
    const awake = actors.filter(() => random.next() < 0.6)
    for (const { clock } of awake) if (chance(4) === 0) clock.set(clock.now() + hourMs)
    await stage.pass(STEP_MS * (1 + chance(20)), ...awake)
    if (stage.owners().length > 1) together += 1
    if (chance(2) === 0) await stage.give()
    if (chance(16) === 0) {
      await stage.stop(actors.splice(chance(actors.length), 1)[0] as Actor)
      actors.push(await stage.join())
    }
  }
  await stage.finish(...actors)
  const workers = await stage.workers()
  const epochs = await stage.epochs()
  epochs.forEach((epoch, i) => {
    const [before, worker] = [epochs[i - 1] ?? 0, workers[i]]
    assert.ok(epoch >= before, `a write of epoch ${epoch} follows one of epoch ${before}`)
    if (epoch === before) assert.equal(worker, workers[i - 1], `epoch ${epoch} has two owners`)
  })
  assert.ok(together > 0, 'no two ever took themselves for the owner: nothing was tried')
  assert.ok(new Set(workers).size > 1, 'one did all the work: nothing was tried')
}

function casesOf(join: JoinLease): readonly ContractCase<EventStoreContext>[] {
  const play = (name: string, run: Play) => law(`lease: ${name}`, staged(join, run))
  return [
    play('one of its candidates has it, and keeps it while it beats', staysPut),
    play('is taken over, with the next epoch, once its beat has stopped', isTakenOver),
    play('a candidate waits a whole ttl from its own first sight', waitsAWholeTtl),
    play('wall clocks that jump move nothing', wallClocksJump),
    play('who has lost it can write nothing more, whatever it thinks', staleIsRefused),
    play('moves at once when its owner stops', movesAtAStop),
    play('never two owners whose writes are accepted', neverTwoOwners),
    law(
      'lease: members on handles of their own are held to it as well',
      async (ctx) =>
        staged(join, async (stage) => {
          await stage.join()
          await stage.give()
          await stage.openAgain()
          const second = await stage.join()
          await stage.pass(takeoverMs, second)
          await stage.give()
          await stage.finish(second)
          assert.deepEqual(await stage.workers(), ['m1', 'm2'])
        })(ctx),
      'shared',
    ),
  ]
}

/**
 * The laws of leases as cases, for leases of any making over any store. Every member has a clock
 * of its own that stands still unless the case lets it go, so nothing here waits for real time.
 *
 * @example
 * ```ts
 * import { leaseContract, openMemoryStore, runStoreCase } from 'eventuali/testing'
 *
 * const make = async () => ({ store: await openMemoryStore(), dispose: async () => {} })
 * const [first] = leaseContract().cases
 * if (first !== undefined) await runStoreCase(first, make)
 * ```
 */
export function leaseContract(join: JoinLease = joinLease): Contract<EventStoreContext> {
  return defineContract('lease', casesOf(join))
}
