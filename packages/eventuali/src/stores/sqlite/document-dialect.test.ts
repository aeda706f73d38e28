import { expect, test } from 'vitest'
import type { DocumentFilter } from '../../ports/index.ts'
import { countStatement } from '../sql/index.ts'
import { documentDialect } from './document-dialect.ts'

test('a value that does not compare matches nothing, and everything differs from it', () => {
  const where = (operator: DocumentFilter['operator'], value: unknown): string =>
    countStatement(documentDialect, 't', [{ path: ['n'], operator, value: value as never }]).text
  for (const operator of ['eq', 'lt', 'lte', 'gt', 'gte', 'in', 'prefix', 'exists'] as const) {
    expect(where(operator, {})).toContain('(1 = 0)')
  }
  expect(where('ne', {})).toContain('(1 = 1)')
})
