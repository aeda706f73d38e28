import type {
  AggregateDefinition,
  Config,
  EventCreators,
  EventInput,
  OpenStoreSettings,
  ProcessDefinition,
  Store,
} from 'eventuali'
import { categoryOf, isEventualiError } from 'eventuali'
import type { z } from 'zod'
import type { Answer } from './answer.ts'

/** Definitions that tools may use, as the configuration names them. */
export interface McpDefinitions {
  readonly events?: readonly EventCreators[] | undefined
  readonly aggregates?: Config['aggregates'] | undefined
  readonly projections?: OpenStoreSettings['projections']
  readonly processes?: readonly ProcessDefinition[] | undefined
}

/** Which writing tools there are, and where they may write. */
export interface McpWrites {
  /** Streams that may be appended to: names, or beginnings with a `*` at the end. */
  readonly streams: readonly string[]
  /** Who is said to have done it: `mcp` when left out. */
  readonly actor?: string | undefined
}

/** What tools work with. */
export interface ToolContext {
  readonly store: Store
  readonly definitions: McpDefinitions
  readonly writes: McpWrites | undefined
  /** Aborted when the client gives up. */
  readonly signal: AbortSignal
}

/** Something that a client may call. */
export interface Tool<Shape extends z.ZodRawShape = z.ZodRawShape> {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly input: Shape
  /** Left out of tools that only read. */
  readonly writes?: { readonly destructive: boolean } | undefined
  readonly run: (args: z.infer<z.ZodObject<Shape>>, context: ToolContext) => Promise<Answer>
}

/** Keeps the types of a tool's arguments together. */
export function tool<Shape extends z.ZodRawShape>(parts: Tool<Shape>): Tool {
  return parts as unknown as Tool
}

/** Thrown for arguments that cannot be what was meant; the client sees the message. */
export class ToolRefusal extends Error {}

/** What a client may know of an error: never a stack, or where the server's files are. */
export function refusalText(error: unknown): string {
  if (error instanceof ToolRefusal) return error.message
  if (isEventualiError(error)) return `${error.code}: ${error.message}`
  if (error instanceof Error && error.name === 'TimeoutError')
    return 'it took too long; ask for less'
  return `it failed: ${error instanceof Error ? error.message : String(error)}`
}

/** An aggregate as `store.aggregate` takes it, class or definition. */
export type AnyAggregate = AggregateDefinition<unknown, unknown, EventInput>

const nameOf = (target: Config['aggregates'][number]): string =>
  'aggregateName' in target ? target.aggregateName : target.name

/** Names of the aggregates that are configured. */
export function aggregateNames({ definitions }: ToolContext): string[] {
  return (definitions.aggregates ?? []).map(nameOf)
}

/** The configured aggregate that a stream is of. Throws ToolRefusal with those that there are. */
export function aggregateOf(
  context: ToolContext,
  stream: string,
): { readonly aggregate: AnyAggregate; readonly id: string } {
  const name = categoryOf(stream)
  const id = stream.slice(name.length + 1)
  const found = context.definitions.aggregates?.find((target) => nameOf(target) === name)
  if (found === undefined || id === '') {
    const known = aggregateNames(context).join(', ') || 'none'
    throw new ToolRefusal(
      `${stream} is no stream of a configured aggregate (there are: ${known}); streams are called NAME-ID, and aggregates are named in eventuali.config.ts`,
    )
  }
  return { aggregate: found as unknown as AnyAggregate, id }
}

/** The configured projection of a name. Throws ToolRefusal with those that there are. */
export function projectionOf(
  { definitions }: ToolContext,
  name: string,
): NonNullable<McpDefinitions['projections']>[number] {
  const found = definitions.projections?.find((one) => one.name === name)
  if (found !== undefined) return found
  const known = definitions.projections?.map((one) => one.name).join(', ') || 'none'
  throw new ToolRefusal(`no projection ${name} is configured (there are: ${known})`)
}
