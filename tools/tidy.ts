import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { codecPeers } from '../packages/eventuali/src/model/index.ts'
import { xesPeers } from '../packages/eventuali/src/pipelines/index.ts'
import { manifests } from './adapters.ts'
import { type LockFile, missingPlatforms } from './lock.ts'
import { type Complaint, checkSource, checkText } from './tidy-source.ts'

const library = 'packages/eventuali'
const sourceFile = /^(packages|examples|bench|tools)\/.*\.(ts|mjs|js)$/
const textFile = /\.(ts|mjs|js|json|md|sql|ya?ml|sh)$|^\.ci\/run$|^\.[a-z]+$/

interface PackageFile {
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
}

/** Drivers are optional peers, with the ranges that the adapters' manifests name: both ways. */
export function checkPeers(
  file: string,
  manifest: PackageFile,
  wanted: Readonly<Record<string, string>>,
): Complaint[] {
  const at = { file, line: 1, rule: 'peers' }
  const peers = manifest.peerDependencies ?? {}
  const complaints: Complaint[] = []
  for (const [name, range] of Object.entries(wanted)) {
    if (peers[name] === range) continue
    complaints.push({ ...at, what: `${name} should be ${range}, is ${peers[name] ?? 'missing'}` })
  }
  for (const name of Object.keys(peers)) {
    if (wanted[name] === undefined) complaints.push({ ...at, what: `no manifest names ${name}` })
    if (manifest.peerDependenciesMeta?.[name]?.optional !== true) {
      complaints.push({ ...at, what: `${name} is not optional` })
    }
  }
  return complaints
}

/** The lock file names versions and hashes, never the host they once came from. */
export function checkLock(file: string, text: string): Complaint[] {
  const hosts = text
    .split('\n')
    .flatMap((line, index) =>
      /"resolved": "[a-z+]+:\/\//.test(line)
        ? [{ file, line: index + 1, rule: 'registry-host', what: 'a host in the lock file' }]
        : [],
    )
  const missing = [...missingPlatforms(JSON.parse(text) as LockFile).keys()].map((name) => ({
    file,
    line: 1,
    rule: 'lock-platform',
    what: `${name} is missing, "npm ci" would refuse; run "node tools/lock.ts"`,
  }))
  return [...hosts, ...missing]
}

async function checkTree(): Promise<Complaint[]> {
  const listed = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'])
  const files = listed
    .toString()
    .split('\0')
    .filter((file) => file !== '' && existsSync(file))
  const complaints: Complaint[] = []
  for (const file of files) {
    if (!textFile.test(file)) continue
    const text = readFileSync(file, 'utf8')
    if (file.endsWith('package-lock.json')) complaints.push(...checkLock(file, text))
    else complaints.push(...checkText(file, text))
    if (sourceFile.test(file)) complaints.push(...checkSource(file, text))
  }
  const wanted: Record<string, string> = { ...codecPeers, ...xesPeers }
  for (const { peers } of await manifests()) Object.assign(wanted, peers)
  const path = `${library}/package.json`
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as PackageFile
  complaints.push(...checkPeers(path, manifest, wanted))
  return complaints
}

if (import.meta.main) {
  const complaints = await checkTree()
  for (const { file, line, rule, what, note } of complaints) {
    console.log(`${note === true ? 'note' : 'error'} ${file}:${line} ${rule}: ${what}`)
  }
  const errorsCount = complaints.filter((c) => c.note !== true).length
  console.log(`${errorsCount} to mend, ${complaints.length - errorsCount} to know`)
  process.exitCode = errorsCount > 0 ? 1 : 0
}
