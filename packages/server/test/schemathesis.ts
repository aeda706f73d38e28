import { execFileSync, spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const venv = resolve('.tmp', 'schemathesis')
const program = join(venv, 'bin', 'schemathesis')
const log = resolve('.tmp', 'schemathesis.log')
const requirements = join(import.meta.dirname, 'requirements.txt')

/**
 * Why Schemathesis cannot run here, or undefined. CI installs it; a developer who wants it does:
 * `python3 -m venv .tmp/schemathesis`, then `pip install -r packages/server/test/requirements.txt`.
 */
export function schemathesisSkipReason(): string | undefined {
  if (existsSync(program)) return undefined
  if (process.env.CI !== 'true') return 'Schemathesis is not installed in .tmp/schemathesis'
  execFileSync('python3', ['-m', 'venv', venv], { stdio: 'ignore' })
  const pip = ['-m', 'pip', 'install', '--quiet', '--requirement', requirements]
  execFileSync(join(venv, 'bin', 'python'), pip, { stdio: 'inherit' })
  return undefined
}

/** Runs Schemathesis with these arguments; resolves with what it printed, however it ended. */
export function runSchemathesis(
  argv: readonly string[],
): Promise<{ readonly code: number | null; readonly out: string }> {
  return new Promise((done, reject) => {
    const child = spawn(program, ['run', ...argv], {
      cwd: resolve('.tmp'),
      env: { ...process.env, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let out = ''
    const take = (chunk: Buffer) => {
      out += chunk
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('error', reject)
    child.on('close', (code) => {
      writeFileSync(log, out)
      done({ code, out })
    })
  })
}
