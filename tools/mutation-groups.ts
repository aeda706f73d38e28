/** What is mutated together, and the tests that have to notice. */
export interface MutationGroup {
  readonly mutate: readonly string[]
  readonly tests: readonly string[]
}

const src = 'packages/eventuali/src'
const contracts = 'tools/mutation-contracts.ts'

/** The four things that a store is for. PostgreSQL is left to its own lanes. */
export const groups: Readonly<Record<string, MutationGroup>> = {
  append: {
    mutate: [
      `${src}/commands/{append,prepare}.ts`,
      `${src}/stores/memory/append.ts`,
      `${src}/stores/sql/group-commit.ts`,
      `${src}/stores/sqlite/append.ts`,
    ],
    tests: [
      contracts,
      `${src}/commands/{append,limits}.test.ts`,
      `${src}/stores/sql/group-commit.test.ts`,
      `${src}/stores/sqlite/sqlite.test.ts`,
      `${src}/store/{reading,store}.test.ts`,
    ],
  },
  read: {
    mutate: [
      `${src}/store/{reads,read-options,sequence}.ts`,
      `${src}/stores/memory/{read,log}.ts`,
      `${src}/stores/sqlite/{reads,query,rows}.ts`,
    ],
    tests: [
      contracts,
      `${src}/stores/sqlite/planted-damage.test.ts`,
      `${src}/stores/sqlite/sqlite.test.ts`,
      `${src}/store/{reading,store}.test.ts`,
      `${src}/replicas/session.test.ts`,
      `${src}/commands/time-travel.test.ts`,
    ],
  },
  subscribe: {
    mutate: [`${src}/subscriptions/**/*.ts`],
    tests: [`${src}/subscriptions/**/*.test.ts`],
  },
  project: {
    mutate: [`${src}/projections/**/*.ts`],
    tests: [`${src}/projections/**/*.test.ts`],
  },
}
