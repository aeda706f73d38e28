import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { type RunResult, run } from './run.ts'

const minute = 60_000

/** A folder of a user, with nothing of the workspace in it. */
export interface UserFolder {
  readonly path: string
  /** Writes a file of his. */
  write(name: string, text: string): void
  /** Runs Node, the workspace's unless another is named, on arguments. */
  node(args: readonly string[], binary?: string): Promise<RunResult>
  npm(...args: readonly string[]): Promise<RunResult>
  /** Names of what is installed, scopes with what is in them. */
  installed(): string[]
}

/** Packs workspaces as `npm publish` would; gives the paths of the archives. */
export async function packed(workspaces: readonly string[]): Promise<string[]> {
  const into = mkdtempSync(join(tmpdir(), 'eventuali-packed-'))
  const of = workspaces.flatMap((workspace) => ['-w', workspace])
  const { exitCode, output } = await npm(['pack', ...of, '--pack-destination', into], '.')
  if (exitCode !== 0) throw new Error(`npm pack ended with code ${exitCode}\n${output}`)
  return readdirSync(into)
    .sort()
    .map((name) => join(into, name))
}

/** The machine's npm, on the Node that runs this. */
function npm(args: readonly string[], cwd: string): Promise<RunResult> {
  const PATH = `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}`
  const env = { PATH, npm_config_update_notifier: 'false' }
  return run('npm', args, { timeoutMs: 5 * minute, cwd, env })
}

/** Makes a folder and installs what is named in it. Throws when that fails. */
export async function userFolder(packages: readonly string[]): Promise<UserFolder> {
  const path = mkdtempSync(join(tmpdir(), 'eventuali-user-'))
  const folder: UserFolder = {
    path,
    write: (name, text) => {
      mkdirSync(resolve(path, name, '..'), { recursive: true })
      writeFileSync(join(path, name), text)
    },
    node: (args, binary = process.execPath) => run(binary, args, { timeoutMs: minute, cwd: path }),
    npm: (...args) => npm(args, path),
    installed: () => namesIn(join(path, 'node_modules')),
  }
  folder.write('package.json', '{ "name": "shop", "private": true, "type": "module" }\n')
  const { exitCode, output } = await folder.npm('install', '--no-audit', '--no-fund', ...packages)
  if (exitCode !== 0) throw new Error(`npm install ended with code ${exitCode}\n${output}`)
  const warnings = output.split('\n').filter((line) => /warn|deprecated/i.test(line))
  if (warnings.length > 0) throw new Error(`npm install warns: ${warnings.join('\n')}`)
  return folder
}

function namesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) =>
      name.startsWith('@') ? readdirSync(join(folder, name)).map((of) => `${name}/${of}`) : [name],
    )
    .sort()
}
