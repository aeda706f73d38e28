import { exampleSuite } from './suites.ts'
import { report, sumLine } from './tally.ts'

const tally = await exampleSuite()
console.log(report([tally]))
console.log(sumLine([tally]))
process.exitCode = tally.failures.length > 0 ? 1 : 0
