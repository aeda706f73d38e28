import type { AnyAggregate, McpDefinitions } from './tool.ts'

/** An aggregate as the model shows it. */
interface AggregateModel {
  readonly name: string
  readonly events: readonly string[]
  readonly commands: readonly string[]
}

/** What the definitions of the configuration say, without their code. */
export interface Model {
  readonly aggregates: readonly AggregateModel[]
  readonly projections: readonly {
    readonly name: string
    readonly mode: string
    readonly handles: readonly string[]
    readonly collections: readonly string[]
    readonly tables: readonly string[]
  }[]
  readonly processes: readonly {
    readonly name: string
    readonly on: readonly string[]
    readonly deadlines: readonly string[]
    readonly commands: readonly string[]
  }[]
  /** Every event type, with who writes and who reads it. */
  readonly events: readonly {
    readonly type: string
    readonly of: readonly string[]
    readonly readBy: readonly string[]
  }[]
}

/** Methods of a class that are neither handlers of events nor of the language. */
function methodsOf(target: { readonly prototype: object }): string[] {
  return Object.getOwnPropertyNames(target.prototype).filter(
    (name) => name !== 'constructor' && !/^on[A-Z]/.test(name),
  )
}

type Target = NonNullable<McpDefinitions['aggregates']>[number]

function aggregateModel(target: Target): AggregateModel {
  if ('aggregateName' in target) {
    const { aggregateName, events, prototype } = target as unknown as {
      readonly aggregateName: string
      readonly events: object
      readonly prototype: object
    }
    return { name: aggregateName, events: Object.keys(events), commands: methodsOf({ prototype }) }
  }
  const { name, registry, commands } = target as unknown as AnyAggregate
  return { name, events: registry.types(), commands: Object.keys((commands ?? {}) as object) }
}

/** The model that the configuration's code is. */
export function modelOf({
  events = [],
  aggregates = [],
  projections = [],
  processes = [],
}: McpDefinitions): Model {
  const models = aggregates.map(aggregateModel)
  const types = new Set([
    ...events.flatMap((creators) => Object.values(creators).map(({ type }) => type)),
    ...models.flatMap((aggregate) => aggregate.events),
    ...projections.flatMap((projection) => projection.types),
    ...processes.flatMap((process) => process.types),
  ])
  return {
    aggregates: models,
    projections: projections.map(({ name, mode, types: handles, collections, tables }) => ({
      ...{ name, mode, handles },
      ...{ collections: Object.keys(collections), tables: Object.keys(tables) },
    })),
    processes: processes.map(({ name, types: on, deadlines, aggregates: targets }) => ({
      ...{ name, on, deadlines: Object.keys(deadlines), commands: [...targets.keys()] },
    })),
    events: [...types].sort().map((type) => ({
      type,
      of: models.filter((one) => one.events.includes(type)).map(({ name }) => name),
      readBy: [
        ...projections.filter((one) => one.types.includes(type)).map(({ name }) => name),
        ...processes.filter((one) => one.types.includes(type)).map(({ name }) => name),
      ],
    })),
  }
}
