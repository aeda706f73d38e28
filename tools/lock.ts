import { readFileSync, writeFileSync } from 'node:fs'

/** What the lock file says of one installed package. */
interface LockedPackage {
  readonly version?: string
  readonly link?: boolean
  readonly dev?: boolean
  readonly optional?: boolean
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
  readonly libc?: readonly string[]
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** The part of a lock file that is read here. */
export interface LockFile {
  readonly packages: Readonly<Record<string, LockedPackage>>
}

const systems = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony']
const processors = [
  'arm',
  'arm64',
  'ia32',
  'loong64',
  'mips64el',
  'ppc64',
  'riscv64',
  's390x',
  'x64',
]

/** The machine that a package's name is made for, when it is one of those built per machine. */
function platformOf(name: string): Pick<LockedPackage, 'os' | 'cpu' | 'libc'> | undefined {
  const words = name.split(/[/-]/)
  const os = words.find((word) => word === 'win32' || word === 'sunos' || systems.includes(word))
  const cpu = words.find((word) => processors.includes(word))
  if (os === undefined || cpu === undefined) return undefined
  const last = words.at(-1) ?? ''
  const libc = last.startsWith('musl') ? 'musl' : last.startsWith('gnu') ? 'glibc' : undefined
  return { cpu: [cpu], os: [os], ...(os === 'linux' && libc !== undefined && { libc: [libc] }) }
}

function isLocked(packages: LockFile['packages'], parent: string, name: string): boolean {
  for (let folder = parent; ; ) {
    if (packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`]) return true
    if (folder === '') return false
    const cut = folder.lastIndexOf('/node_modules/')
    folder = cut === -1 ? '' : folder.slice(0, cut)
  }
}

/**
 * The packages for other machines that the lock file leaves out. npm drops those that the registry
 * at hand does not have, and then refuses to install from its own lock file.
 */
export function missingPlatforms(lock: LockFile): Map<string, LockedPackage> {
  const missing = new Map<string, LockedPackage>()
  for (const [parent, { optionalDependencies = {}, dev }] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      if (isLocked(lock.packages, parent, name)) continue
      const platform = platformOf(name)
      if (platform === undefined || !/^\d+\.\d+\.\d+/.test(version)) continue
      const entry = { version, ...platform, ...(dev === true && { dev }), optional: true }
      missing.set(`node_modules/${name}`, entry)
    }
  }
  return missing
}

if (import.meta.main) {
  const file = 'package-lock.json'
  const lock = JSON.parse(readFileSync(file, 'utf8')) as LockFile
  const missing = missingPlatforms(lock)
  const all = [...Object.entries(lock.packages), ...missing].sort(([a], [b]) => (a < b ? -1 : 1))
  const completed = { ...lock, packages: Object.fromEntries(all) }
  writeFileSync(file, `${JSON.stringify(completed, null, 2)}\n`)
  console.log(`${missing.size} packages for other machines added to ${file}`)
}
