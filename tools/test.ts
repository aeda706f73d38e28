import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { laneTable } from '../packages/eventuali/test/lane-table.ts'
import { adapterTableTally } from './adapters.ts'
import { exampleSuite } from './example-suite.ts'
import { examplesOnPostgres } from './examples-on-postgres.ts'
import { laneSuites, newRecords } from './lanes.ts'
import { typeSuite, vitestSuite } from './suites.ts'
import { asSeenByCi, report, sumLine, type Tally } from './tally.ts'

const minute = 60_000
const { values } = parseArgs({ options: { line: { type: 'string', default: '24' } } })

/** Servers and timers are waited for: one more than the cores of the smallest machine. */
const workers = 3

const quickLanes = laneTable.filter(({ quick }) => quick === true)

/** Everything but the long lanes, on the Node that the workspace is pinned to. */
async function allSuites(): Promise<Tally[]> {
  const node = process.execPath
  const unit = await vitestSuite('unit', ['unit', 'programs', 'tools'], node, 15 * minute, {
    workers,
  })
  return [
    unit,
    await adapterTableTally(unit.contract ?? []),
    await typeSuite(),
    await exampleSuite(),
    await examplesOnPostgres(),
    await vitestSuite('servers', ['servers'], node, 15 * minute),
    // Last, because some of them measure delays.
    ...(await laneSuites(quickLanes, newRecords())),
  ]
}

/**
 * What the floor of line 22 must hold: the unit and contract tests. PostgreSQL once: its other ways
 * to be opened differ in what the server and its driver do, which is the same on every Node, and so
 * are the long searches for faults.
 */
async function floorSuites(): Promise<Tally[]> {
  const node = resolve('node_modules/node-22/bin/node')
  const env = { EVENTUALI_FLOOR: '1' }
  return [await vitestSuite('unit-22', ['unit'], node, 15 * minute, { workers, env })]
}

const raw = values.line === '22' ? await floorSuites() : await allSuites()
const tallies = process.env.CI === 'true' ? raw.map(asSeenByCi) : raw
console.log(report(tallies))
if (values.line !== '22') {
  console.log(`\n${laneTable.length - quickLanes.length} long lanes are left for: npm run lanes`)
}
console.log(sumLine(tallies))
process.exitCode = tallies.some((tally) => tally.failures.length > 0) ? 1 : 0
