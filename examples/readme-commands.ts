import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { freshStore } from './fresh-store.ts'

const commandMsMax = 60_000
const outputBytesMax = 16 * 1024 * 1024

/**
 * Runs the commands of an example's README, those of its `sh run` blocks, line by line in an empty
 * folder, and prints each with what it prints. A command may end with another code than 0 where the
 * README says so behind it: `# ends with 1`.
 *
 * The folder is made in the temporary folder and stays, to be looked at; what is in `project/`
 * beside the README is copied into it. `stores` says which of Eventuali's environment variables
 * become stores of the database in STORE, where that is Postgres; without it the README's own
 * SQLite files are used.
 */
export async function runReadme(
  example: string,
  stores: Readonly<Record<string, string>>,
): Promise<void> {
  const folder = emptyFolder(basename(example))
  const project = join(example, 'project')
  if (existsSync(project)) cpSync(project, folder, { recursive: true })
  // In a folder of yours `npm install eventuali @eventuali/cli` has made this one.
  const modules = join(folder, 'node_modules')
  symlinkSync(join(import.meta.dirname, '../node_modules'), modules, 'junction')
  const path = [dirname(process.execPath), join(modules, '.bin'), process.env.PATH]
  // Nothing of what your shell says of your own stores.
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('EVENTUALI_'))
  const env = {
    ...Object.fromEntries(own),
    PATH: path.join(delimiter),
    ...(await storesIn(stores)),
  }
  console.error(`the folder is ${folder}`)

  for (const block of blocksOf(readFileSync(join(example, 'README.md'), 'utf8'))) {
    for (const command of block) {
      console.log(`$ ${command}`)
      const { output, exitCode } = await run(command, folder, env)
      process.stdout.write(output)
      const expected = Number(/# ends with (\d+)$/.exec(command)?.[1] ?? 0)
      if (exitCode === expected) continue
      throw new Error(`"${command}" ended with ${exitCode}, and not with ${expected}`)
    }
    console.log()
  }
}

function emptyFolder(name: string): string {
  const folder = join(tmpdir(), `eventuali-example-${name}`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  return folder
}

async function storesIn(names: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  if (!process.env.STORE?.startsWith('postgres')) return {}
  const urls: Record<string, string> = {}
  for (const [variable, name] of Object.entries(names)) urls[variable] = await freshStore(name)
  return urls
}

/** The lines of each `sh run` block; one that ends in a backslash goes on in the next. */
function blocksOf(readme: string): string[][] {
  const blocks = [...readme.matchAll(/^```sh run\n(.*?)^```$/gms)].map(([, body = '']) => body)
  return blocks.map((body) => body.split(/(?<!\\)\n/).filter(Boolean))
}

/** As a shell runs it. What `npx` finds in node_modules is run by its name: npm starts slowly. */
function run(
  command: string,
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<{ output: string; exitCode: number }> {
  // One pipe for both, so that what is printed stays in order.
  const script = `exec 2>&1\nnpx() { "$@"; }\n${command}`
  const options = { cwd, env, timeout: commandMsMax, maxBuffer: outputBytesMax }
  return new Promise((resolve, reject) => {
    execFile('sh', ['-c', script], options, (error, output) => {
      if (error === null) resolve({ output, exitCode: 0 })
      else if (typeof error.code === 'number') resolve({ output, exitCode: error.code })
      else reject(error)
    })
  })
}
