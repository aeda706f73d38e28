import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { LongestFirst } from './tools/longest-first.ts'

const source = (path: string): string => fileURLToPath(new URL(`packages/${path}`, import.meta.url))

// Tests see the TypeScript sources, not the build: what is tested is what is being edited.
const alias = [
  { find: /^eventuali\/testing$/, replacement: source('eventuali/src/testing/index.ts') },
  { find: /^eventuali\/client$/, replacement: source('eventuali/src/stores/http/index.ts') },
  { find: /^eventuali\/ports$/, replacement: source('eventuali/src/ports/index.ts') },
  { find: /^eventuali$/, replacement: source('eventuali/src/index.ts') },
  { find: /^@eventuali\/server$/, replacement: source('server/src/index.ts') },
  { find: /^@eventuali\/cli$/, replacement: source('cli/src/index.ts') },
]

// A soak does many times as much as a run in a pull request.
const scale = Math.max(1, Number(process.env.EVENTUALI_SCALE ?? 1))
const programs = 'packages/eventuali/test/harness/build-programs.ts'
const exclude = ['**/node_modules/**', '**/dist/**', '**/.tmp/**']
/**
 * Not on the oldest Node too: other ways to open a store that has been through its contract
 * already, and long searches for faults that have nothing to do with Node.
 */
const onlyOnNew =
  process.env.EVENTUALI_FLOOR === undefined
    ? []
    : [
        '**/postgres/{pool,codec,pgbouncer}.contract.test.ts',
        'packages/server/src/*.contract.test.ts',
        '**/processes/crash.test.ts',
        '**/pipelines/replay-store.test.ts',
        '**/projections/faults.test.ts',
      ]

export default defineConfig({
  resolve: { alias },
  test: {
    // Two cores are the smallest machine that the suites are meant for.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    // V8 counts and leaves the sources alone: snapshots keep states under a fingerprint of sources.
    coverage: {
      provider: 'v8',
      include: ['packages/eventuali/src/**/*.ts'],
      exclude: ['**/*.test-d.ts', '**/*.test-support.ts'],
      reporter: [['json', { file: 'coverage-final.json' }]],
      reportsDirectory: '.tmp/coverage',
    },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts'],
          exclude: [...exclude, ...onlyOnNew],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'lanes',
          globalSetup: programs,
          include: ['packages/*/test/lanes/**/*.test.ts'],
          exclude,
          testTimeout: 600_000 * scale,
          hookTimeout: 180_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'programs',
          include: ['packages/{cli,server}/test/*.test.ts'],
          exclude,
          testTimeout: 300_000,
          hookTimeout: 180_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'servers',
          include: ['packages/eventuali/test/**/*.test.ts'],
          exclude: [...exclude, 'packages/*/test/lanes/**', 'packages/*/test/process/**'],
          // Some measure delays.
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 180_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'process',
          globalSetup: programs,
          include: ['packages/*/test/process/**/*.test.ts'],
          exclude,
          // These measure delays and kill processes; a neighbour would disturb the measurement.
          fileParallelism: false,
          testTimeout: 600_000 * scale,
          hookTimeout: 180_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'tools',
          include: ['tools/**/*.test.ts', 'bench/**/*.test.ts'],
          exclude,
          testTimeout: 60_000,
        },
      },
    ],
  },
})
