import { aggregateRepository, type CommandRuntime, classRepository } from '../commands/index.ts'
import {
  type AggregateDefinition,
  DefinitionError,
  type EventInput,
  isAggregateClass,
} from '../model/index.ts'
import type { StreamAccess } from '../ports/index.ts'

/** The repository of a definition or of a class. Throws DefinitionError for anything else. */
export function repositoryFor(
  access: StreamAccess,
  runtime: CommandRuntime,
  definition: unknown,
): unknown {
  if (isAggregateClass(definition)) return classRepository(access, runtime, definition)
  if ((definition as { readonly kind?: unknown } | null)?.kind !== 'aggregate') {
    throw new DefinitionError(
      'store.aggregate takes what defineAggregate returns, or a class that extends Aggregate',
    )
  }
  return aggregateRepository(
    access,
    runtime,
    definition as AggregateDefinition<unknown, unknown, EventInput>,
  )
}
