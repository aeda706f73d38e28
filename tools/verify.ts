import { run } from './run.ts'

// All that needs little time, cheapest first; the first failure ends it.
const node = process.execPath
const steps: [name: string, program: string, args: string[]][] = [
  ['lint', 'node_modules/.bin/biome', ['ci']],
  ['arrows', node, ['tools/arrows.ts']],
  ['tidy', node, ['tools/tidy.ts']],
  ['knip', node, ['node_modules/knip/bin/knip.js', '--no-config-hints']],
  ['types', node, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.check.json']],
  ['docs', node, ['tools/docs.ts']],
  [
    'unit',
    node,
    ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', '--project', 'tools'],
  ],
]

for (const [name, program, args] of steps) {
  const { exitCode, output, seconds } = await run(program, args, { timeoutMs: 600_000 })
  console.log(
    `${name.padEnd(8)} ${seconds.toFixed(1).padStart(6)} s   ${exitCode === 0 ? 'ok' : 'FAILED'}`,
  )
  if (exitCode === 0) continue
  console.log(output)
  process.exitCode = 1
  break
}
