// What `eventuali benchmark --json` has measured, as ratios: events per second differ from machine
// to machine, how they compare does so less.
import { text } from 'node:stream/consumers'

interface Workload {
  readonly workload: string
  readonly eventsPerSecond: number
  /** Against the database's driver alone, where there is such a thing. */
  readonly ratio?: number
}

const lines = (await text(process.stdin)).trim().split('\n')
const workloads = lines.map((line): Workload => JSON.parse(line))
const [alone] = workloads
for (const { workload, eventsPerSecond, ratio } of workloads) {
  if (ratio !== undefined) console.log(`${workload}: ${ratio.toFixed(2)} of the driver alone`)
  if (alone === undefined || workload === alone.workload || !workload.startsWith('append')) continue
  console.log(
    `${workload}: ${(eventsPerSecond / alone.eventsPerSecond).toFixed(1)} times one caller`,
  )
}
