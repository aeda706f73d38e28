import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import base from '../vitest.config.ts'

// The tests of one group, each in a process of its own as in the other runs, one after another:
// a mutant is a switch in the environment of the process.
export default defineConfig({
  resolve: {
    alias: [
      ...((base.resolve?.alias ?? []) as readonly { find: RegExp; replacement: string }[]),
      {
        find: /^.*\/servers\/postgres\.ts$/,
        replacement: fileURLToPath(new URL('mutation-no-postgres.ts', import.meta.url)),
      },
    ],
  },
  test: {
    include: (process.env.EVENTUALI_MUTATION_TESTS ?? '').split(' '),
    exclude: ['**/node_modules/**', '**/dist/**', '**/.tmp/**'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
