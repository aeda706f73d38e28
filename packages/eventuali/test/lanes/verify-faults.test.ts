import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore, type VerifyProblem, type VerifyProblemKind } from '../../src/index.ts'
import { beds } from '../harness/beds.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { eventPlanters } from '../harness/event-planters.ts'
import { headPlanters } from '../harness/head-planters.ts'
import { judge, type Planted, type Planter } from '../harness/planter.ts'
import { modelPlanters, recordPlanters, statePlanters } from '../harness/record-planters.ts'
import { makeBed, verifiable } from '../harness/verify-bed.ts'

/** Faults in one store: a copy of a database takes its time, a copy of a file takes none. */
const perRound = { sqlite: 5, postgres: 10 }
/** After so many the rest would say the same. */
const WRONG_COUNT_MAX = 20
const timeoutMs = 3_600_000
/**
 * Kinds that are planted together. Events that are damaged fold to something else or to nothing, so
 * that read models are proved in stores whose log is whole.
 */
const groups = [
  [...eventPlanters, ...headPlanters, ...recordPlanters, ...statePlanters],
  [...modelPlanters, ...statePlanters],
] as const
/** One round in so many is of the second group. */
const refoldEvery = 5
const faultCounts = { sqlite: 750, postgres: 250 }

/** One store with faults, and what `verify` said of it. */
interface Round {
  readonly planted: readonly Planted[]
  readonly problems: readonly VerifyProblem[]
}

/** Plants faults that do not touch each other; each kind's turn comes. */
async function plant(
  run: Campaign,
  bed: Parameters<Planter['plant']>[1],
  queue: () => Planter,
): Promise<{ readonly planted: readonly Planted[]; readonly refolds: boolean }> {
  const most = perRound[bed.adapter]
  const taken = new Set<string>()
  const planted: Planted[] = []
  let refolds = false
  for (let n = 0; planted.length < most && n < most * 4; n++) {
    const planter = queue()
    if (planter.only !== undefined && planter.only !== bed.adapter) continue
    const fault = await planter.plant(run, bed, taken)
    if (fault === undefined) continue
    for (const subject of fault.subjects) taken.add(subject)
    planted.push(fault)
    refolds ||= planter.refolds
  }
  return { planted, refolds }
}

/** All kinds in turns, so that each of them is planted again and again. */
function turns(run: Campaign, planters: readonly Planter[]): () => Planter {
  const waiting: Planter[] = []
  return () => {
    if (waiting.length === 0) {
      waiting.push(...planters)
      for (let i = waiting.length - 1; i > 0; i--) {
        const j = run.between(0, i)
        const [a, b] = [waiting[i] as Planter, waiting[j] as Planter]
        waiting[i] = b
        waiting[j] = a
      }
    }
    return waiting.pop() as Planter
  }
}

const without =
  (kind: VerifyProblemKind) =>
  (problems: readonly VerifyProblem[]): readonly VerifyProblem[] =>
    problems.filter((problem) => problem.kind !== kind)

/** Kinds that are the only ones to tell of some fault. */
const kinds: readonly VerifyProblemKind[] = [
  ...(['checksum', 'index', 'head', 'order', 'id', 'checkpoint', 'incarnation'] as const),
  ...(['snapshot', 'read-model'] as const),
]

const bugs: readonly {
  readonly name: string
  readonly apply: (problems: readonly VerifyProblem[]) => readonly VerifyProblem[]
}[] = [
  ...kinds.map((kind) => ({ name: `verify tells of no ${kind}`, apply: without(kind) })),
  {
    name: 'verify names the position behind the fault',
    apply: (problems) =>
      problems.map((one) =>
        one.position === undefined ? one : { ...one, position: one.position + 1 },
      ),
  },
  {
    name: 'verify names no streams',
    apply: (problems) => problems.map((one) => ({ ...one, stream: undefined })),
  },
  {
    name: 'verify tells of a checkpoint that is right',
    apply: (problems) => [
      ...problems,
      {
        kind: 'checkpoint' as const,
        subscription: 'nobody',
        reason: 'it is ahead of the log',
        advice: 'reset it',
      },
    ],
  },
  {
    name: 'verify stops at the first problem',
    apply: (problems) => problems.slice(0, 1),
  },
]

describe.each(beds())('verify and planted faults, $adapter', (place) => {
  const rounds: Round[] = []
  beforeAll(() => place.start())
  afterAll(() => place.stop())

  test.skipIf(place.skip !== undefined)(
    'finds each of them and names the place',
    async () => {
      await campaign(`R5 verify finds planted faults, ${place.adapter}`, async (run) => {
        const made = await place.make((url) => makeBed(run, url))
        const untouched = await made.damaged(async () => {})
        const healthy = await verified(untouched.url, true)
        expect(healthy).toEqual([])
        await untouched.drop()
        const kindCount = new Set(groups.flat()).size
        const queues = groups.map((planters) => turns(run, planters))
        const wanted = run.scaled(faultCounts[place.adapter])
        const wrong: string[] = []
        let count = 0
        while (count < wanted && wrong.length < WRONG_COUNT_MAX) {
          const queue = queues[rounds.length % refoldEvery === 0 ? 1 : 0] as () => Planter
          let refolds = false
          let planted: readonly Planted[] = []
          const damaged = await made.damaged(async (bed) => {
            ;({ planted, refolds } = await plant(run, bed, queue))
          })
          const problems = await verified(damaged.url, refolds)
          await damaged.drop()
          const { missed, stray } = judge(planted, problems)
          const among = planted.map(({ name }) => name).join(', ')
          wrong.push(
            ...missed.map((name) => `not found: ${name}, among ${among}`),
            ...stray.map((one) => `no fault: ${JSON.stringify(one)}, among ${among}`),
          )
          rounds.push({ planted, problems })
          count += planted.length
        }
        expect(wrong).toEqual([])
        run.note(`${count} faults of ${kindCount} kinds in ${rounds.length} stores, all named`)
      })
    },
    timeoutMs,
  )

  test.skipIf(place.skip !== undefined).each(bugs)('planted: $name', async ({ name, apply }) => {
    await campaign(`R5 planted: ${name}, ${place.adapter}`, async (run) => {
      const caught = rounds.filter(({ planted, problems }) => {
        const { missed, stray } = judge(planted, apply(problems))
        return missed.length + stray.length > 0
      })
      expect(caught.length).toBeGreaterThan(0)
      run.note(`caught in ${caught.length} of ${rounds.length} stores`)
    })
  })
})

async function verified(url: string, refolds: boolean): Promise<readonly VerifyProblem[]> {
  const store = await openStore(url, { profile: 'relaxed', schemas: false })
  try {
    const { aggregates, projections } = verifiable
    const chosen = refolds ? projections : []
    const report = await store.verify({ aggregates, projections: chosen, seed: 1 })
    return report.problems
  } finally {
    await store.close()
  }
}
