import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { StoreManifest } from '../packages/eventuali/src/ports/index.ts'
import { vitestSuite } from './suites.ts'
import type { ContractResult, Tally } from './tally.ts'

const page = 'docs/adapters.md'

/** The manifests of all adapters in the tree, by name. */
export async function manifests(): Promise<StoreManifest[]> {
  const files = globSync('packages/eventuali/src/stores/*/manifest.ts').sort()
  const loaded = await Promise.all(
    files.map(async (file) => (await import(pathToFileURL(resolve(file)).href)) as object),
  )
  return loaded.map((module) => (module as { manifest: StoreManifest }).manifest)
}

function capabilityTable(all: readonly StoreManifest[]): string[] {
  const names = [...new Set(all.flatMap((m) => Object.keys(m.capabilities)))]
  type Capability = keyof StoreManifest['capabilities']
  const row = (m: StoreManifest): string => {
    const yes = names.map((name) => (m.capabilities[name as Capability] ? 'yes' : 'no'))
    const schemes = m.schemes.map((scheme) => `\`${scheme}:\``).join(', ')
    const peers = Object.entries(m.peers).map(([peer, range]) => `\`${peer}\` ${range}`)
    return `| ${m.name} | ${schemes} | ${yes.join(' | ')} | ${peers.join(', ') || 'none'} |`
  }
  return [
    `| store | url | ${names.join(' | ')} | optional drivers |`,
    `|---|---|${names.map(() => '---|').join('')}---|`,
    ...all.map(row),
    '',
    ...all.flatMap((m) =>
      Object.entries(m.denied).map(([name, why]) => `- ${m.name}, no ${name}: ${why}`),
    ),
  ]
}

function caseTable(adapters: readonly string[], results: readonly ContractResult[]): string[] {
  const marks = { passed: 'holds', failed: 'FAILS', denied: 'n/a', skipped: '?' }
  const names = [...new Set(results.map((r) => r.name))].sort()
  const cell = (name: string, adapter: string): string => {
    const found = results.find((r) => r.name === name && r.adapter === adapter)
    return found === undefined ? '-' : marks[found.state]
  }
  return [
    `| case | ${adapters.join(' | ')} |`,
    `|---|${adapters.map(() => '---|').join('')}`,
    ...names.map((name) => {
      const cells = adapters.map((adapter) => cell(name, adapter))
      return `| ${name.replaceAll('|', '\\|')} | ${cells.join(' | ')} |`
    }),
  ]
}

/** What a release is held to: subjects of laws, and laws. */
const conformanceGoal = { subjects: 40, laws: 400 } as const

/** How much of the contracts ran: a subject is what stands before the colon of a case's name. */
export function conformance(results: readonly ContractResult[]): {
  readonly subjects: number
  readonly laws: number
  readonly held: number
  readonly denied: number
} {
  const names = new Set(results.map(({ name }) => name))
  const subjects = new Set([...names].map((name) => name.split(':', 1)[0]))
  const count = (state: ContractResult['state']): number =>
    results.filter((result) => result.state === state).length
  return {
    ...{ subjects: subjects.size, laws: names.size },
    ...{ held: count('passed'), denied: count('denied') },
  }
}

/** The text of docs/adapters.md: what the manifests say and what the contract run has shown. */
export function adapterPage(
  all: readonly StoreManifest[],
  results: readonly ContractResult[],
): string {
  // A store may run in several settings (behind a pooler, say), each with a column of its own.
  const adapters = [...new Set(results.map((r) => r.adapter))].sort()
  const { subjects, laws, held, denied } = conformance(results)
  return [
    '# Stores and what they can do',
    '',
    '<!-- Written by "npm run adapters" from the manifests and a run of the contract. -->',
    '',
    'The same calls work on every store. What one cannot do, it says in its manifest, and such a',
    'call fails with `CAPABILITY_MISSING` instead of doing something else.',
    '',
    ...capabilityTable(all),
    '',
    '## The contract, case by case',
    '',
    '"holds": the case ran on this store and passed. "n/a": the store denies the capability that',
    'the case needs. "-": a case of what stands above the store (checkpoints, leases, schedules), run',
    'on one setting of each store. A store that is not listed can run the same cases:',
    '`eventuali/testing`.',
    '',
    `${laws} laws on ${subjects} subjects: they held ${held} times, and a store denied the`,
    `capability ${denied} times. A case is never skipped for another reason.`,
    '',
    ...caseTable(adapters, results),
    '',
  ].join('\n')
}

/** The results that say nothing of the store: skipped for want of a server, say. */
function unknowns(results: readonly ContractResult[]): readonly ContractResult[] {
  return results.filter((result) => result.state === 'skipped')
}

/** Compares the committed page with a contract run, as a suite of one test. */
export async function adapterTableTally(results: readonly ContractResult[]): Promise<Tally> {
  const tally = { suite: 'adapters', passed: 0, failures: [], skips: [], seconds: 0 }
  const all = await manifests()
  if (results.length === 0) return { ...tally, failures: ['no contract ran'] }
  const unknown = unknowns(results)[0]
  if (unknown !== undefined) {
    const why = `the contract did not run on ${unknown.adapter}: ${unknown.why}`
    return { ...tally, skips: [{ name: `${page} is what the run says`, why }] }
  }
  const { subjects, laws } = conformance(results)
  if (subjects < conformanceGoal.subjects || laws < conformanceGoal.laws) {
    const failure = `${laws} laws on ${subjects} subjects ran, fewer than a release is held to`
    return { ...tally, failures: [failure] }
  }
  const committed = existsSync(page) ? readFileSync(page, 'utf8') : ''
  if (committed === adapterPage(all, results)) return { ...tally, passed: 1 }
  const failure = `${page} is not what the manifests and this run say; "npm run adapters"`
  return { ...tally, failures: [failure] }
}

if (import.meta.main) {
  const unit = await vitestSuite('contract', ['unit', 'programs'], process.execPath, 900_000)
  const all = await manifests()
  const results = unit.contract ?? []
  const unknown = unknowns(results)
  for (const { adapter, name, why } of unknown)
    console.error(`not run: ${adapter}, ${name}: ${why}`)
  // Without results the page would say nothing, and say it in good order.
  const complete = unknown.length === 0 && results.length > 0
  if (complete) writeFileSync(page, adapterPage(all, results))
  console.log(`${page}: ${results.length} results, ${unknown.length} not run`)
  process.exitCode = unit.failures.length === 0 && complete ? 0 : 1
}
