import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where the peers are. */
export interface InstalledPeers {
  readonly folder: string
  /** Python with its packages, or why there is none. */
  readonly python: string | Error
}

const here = fileURLToPath(new URL('.', import.meta.url))
const target = fileURLToPath(new URL('../../.tmp/peers', import.meta.url))
const lists = ['package.json', 'requirements.txt'] as const
const pythonMin = [3, 11] as const

function stampOf(): string {
  const hash = createHash('sha256')
  for (const list of lists) hash.update(readFileSync(join(here, list)))
  return hash.digest('hex')
}

/** The peers of these lists, when they are all there. */
export function installedPeers(): InstalledPeers | undefined {
  const stamp = join(target, 'installed')
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== stampOf()) return undefined
  const python = join(target, 'venv', 'bin', 'python')
  return { folder: target, python: existsSync(python) ? python : noPython() }
}

function noPython(): Error {
  return new Error(`not installed: no Python ${pythonMin.join('.')} or newer with venv and pip`)
}

/** Only what is ready to run: nothing is compiled, no package's install script runs. */
function installPython(): string | Error {
  const venv = join(target, 'venv')
  const python = join(venv, 'bin', 'python')
  const check = `import sys; sys.exit(sys.version_info < (${pythonMin.join(', ')}))`
  try {
    execFileSync('python3', ['-c', check], { stdio: 'ignore' })
    execFileSync('python3', ['-m', 'venv', venv], { stdio: 'ignore' })
  } catch {
    rmSync(venv, { recursive: true, force: true })
    console.warn(`*** ${noPython().message}: its library is reported as failing ***`)
    return noPython()
  }
  const list = join(target, 'requirements.txt')
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--only-binary', ':all:', '-r', list]
  execFileSync(python, pip, { stdio: 'inherit' })
  return python
}

/** Installs the peers once, into a folder that git does not see. */
export function installPeers(): InstalledPeers {
  const installed = installedPeers()
  if (installed !== undefined) return installed
  console.log(`installing the peers into ${target}`)
  mkdirSync(target, { recursive: true })
  for (const list of lists) copyFileSync(join(here, list), join(target, list))
  // Their peer ranges contradict each other, and none of them may run a script or compile.
  const npm = ['install', '--ignore-scripts', '--legacy-peer-deps', '--no-audit', '--no-fund']
  execFileSync('npm', npm, { cwd: target, stdio: 'inherit' })
  const python = installPython()
  writeFileSync(join(target, 'installed'), stampOf())
  return { folder: target, python }
}
