import { parseArgs } from 'node:util'
import { exampleSuite } from './example-suite.ts'
import { examplesOnPostgres } from './examples-on-postgres.ts'
import { asSeenByCi, report, sumLine } from './tally.ts'

// npm run examples -- [--update] [--store postgres] [NAME...]
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    update: { type: 'boolean', default: false },
    store: { type: 'string', default: 'sqlite' },
  },
})
if (!['sqlite', 'postgres'].includes(values.store)) {
  throw new Error('--store is sqlite (the default) or postgres')
}
const narrowed = { update: values.update, ...(positionals.length > 0 && { only: positionals }) }

const raw =
  values.store === 'postgres' ? await examplesOnPostgres(narrowed) : await exampleSuite(narrowed)
const tally = process.env.CI === 'true' ? asSeenByCi(raw) : raw
console.log(report([tally]))
console.log(sumLine([tally]))
process.exitCode = tally.failures.length > 0 ? 1 : 0
