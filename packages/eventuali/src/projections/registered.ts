import type { CallOptions, EventStore, RecordReads } from '../ports/index.ts'
import { readBuild } from './build-record.ts'
import type { ProjectionMode } from './define.ts'
import { consumerName, liveOf, type Registered } from './registry.ts'
import { type GenerationInfo, generationsOf } from './status.ts'

/** The generation of a projection that readers see. */
export interface LiveGeneration {
  readonly generation: number
  readonly version: number
  readonly mode: ProjectionMode
  /** Where it was when it was built or handed to its subscription, which has its place since. */
  readonly position: number
}

/** A projection as a store knows it, whether or not this program defines it. */
export interface RegisteredProjection {
  readonly name: string
  /** What readers see; undefined while the first generation is being built. */
  readonly live: LiveGeneration | undefined
  /** Name of the durable subscription that keeps the live one current; none of an inline one. */
  readonly subscription: string | undefined
  readonly paused: boolean
  readonly generations: readonly GenerationInfo[]
  /** Builds under way, whoever is at them. */
  readonly builds: readonly RegisteredBuild[]
}

/** A build as the store knows it. */
export interface RegisteredBuild {
  readonly generation: number
  /** Everything at or below it is in the tables. */
  readonly position: number
  /** Events handled. */
  readonly events: number
  /** Why it was given up, until somebody asks for it again. */
  readonly failed: string | undefined
}

const PAGE_COUNT = 500
/** More projections than that are no longer listed. */
const COUNT_MAX = 10_000

async function buildsOf(
  records: RecordReads,
  name: string,
  value: Registered,
): Promise<readonly RegisteredBuild[]> {
  const builds: RegisteredBuild[] = []
  for (const { generation, status } of generationsOf(value)) {
    if (status !== 'building') continue
    const build = (await readBuild(records, name, generation))?.value
    if (build === undefined) continue
    const { position, events, failed } = build
    builds.push({ generation, position, events, failed: failed ?? undefined })
  }
  return builds
}

const liveGeneration = ({ generation, version, mode, position }: LiveGeneration) => ({
  ...{ generation, version, mode, position },
})

async function infoOf(
  records: RecordReads,
  name: string,
  value: Registered,
): Promise<RegisteredProjection> {
  const live = liveOf(value)
  return {
    name,
    live: live && liveGeneration(live),
    subscription: live?.mode === 'async' ? consumerName(name, live.generation) : undefined,
    paused: value.paused,
    generations: generationsOf(value),
    builds: await buildsOf(records, name, value),
  }
}

/**
 * The projections that programs have started on a store, by name.
 *
 * @example
 * ```ts
 * import { openStore, registeredProjections } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * for (const { name, live } of await registeredProjections(store)) console.log(name, live?.version)
 * ```
 */
export async function registeredProjections(
  store: { readonly port: EventStore },
  options: CallOptions = {},
): Promise<readonly RegisteredProjection[]> {
  const found: RegisteredProjection[] = []
  for (;;) {
    const query = { kind: 'projection', after: found.at(-1)?.name, limit: PAGE_COUNT }
    const { records } = store.port
    const page = await records.list(query, options)
    for (const { key, value } of page) {
      found.push(await infoOf(records, key, value as unknown as Registered))
    }
    if (page.length < PAGE_COUNT || found.length >= COUNT_MAX) return found
  }
}
