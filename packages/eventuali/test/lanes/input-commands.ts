import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { main } from '../../../cli/src/index.ts'
import type { Found, Target } from '../harness/assault.ts'
import type { Junk } from '../harness/junk.ts'

class Sink extends Writable {
  text = ''
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk
    done()
  }
}

const options: Readonly<Record<string, readonly string[]>> = {
  append: ['--id', '--expect', '--metadata', '--tag', '--time', '--json'],
  export: ['--stream', '--category', '--type', '--tag', '--out'],
  import: ['--batch', '--skip-invalid', '--source', '--json'],
  fork: ['--into', '--at', '--timeout', '--json'],
  'migrate-events': ['--to', '--plan', '--stream', '--rename', '--redact', '--re-key', '--rate'],
  query: ['--stream', '--type', '--tag', '--from', '--to', '--limit', '--reverse', '--json'],
  recode: ['--to', '--compress', '--above', '--batch', '--json'],
  'schema list': ['--json'],
  'schema show': ['--json'],
  'schema diff': ['--json'],
  'schema check': ['--events', '--registry', '--mode', '--newest', '--no-read', '--json'],
  streams: ['--prefix', '--category', '--limit', '--json'],
  verify: ['--json'],
}
const commands = Object.keys(options)
const values = [
  '1',
  '0',
  '-1',
  '1.5',
  'any',
  '2013-01-31',
  '{"a":1}',
  'json',
  'zstd',
  'a=b',
  'T:a.b',
]

/** No argument may lead out of the folder that the commands run in. */
const inside = (text: string): string => text.replaceAll('/', '_').replaceAll('..', '_')

function commandLine(junk: Junk, files: readonly string[]): string[] {
  const command = junk.below(30) === 0 ? inside(junk.text()) : junk.pick(commands)
  const store = junk.pick(['memory:', 'memory:', 'sqlite::memory:', 'sqlite:log.db', 'x:y'])
  const argument = (): string => {
    const kind = junk.below(4)
    if (kind === 0) return junk.pick(values)
    if (kind === 1) return junk.pick(files)
    return inside(kind === 2 ? junk.text() : String(junk.number()))
  }
  const words = [...command.split(' ')]
  if (junk.below(12) > 0) words.push('--store', store)
  const positionals = command === 'append' ? 3 : ['import', 'schema show'].includes(command) ? 1 : 0
  for (let n = 0; n < positionals; n++) words.push(argument())
  for (let n = junk.below(4); n > 0; n--) {
    const name =
      junk.below(10) === 0
        ? inside(`--${junk.text()}`)
        : junk.pick(Object.hasOwn(options, command) ? (options[command] ?? []) : ['-x'])
    // A rate of one event a second is kept to, as it should be.
    if (name === '--rate') continue
    words.push(name)
    if (junk.below(8) > 0) words.push(argument())
  }
  return words
}

/** Runs a command line; what goes wrong is said in a line, with one of the codes. */
async function runCommand(junk: Junk, files: readonly string[]): Promise<Found> {
  const argv = commandLine(junk, files)
  const [stdout, stderr] = [new Sink(), new Sink()]
  const stdin = Readable.from([junk.bytes(30), Buffer.from(`${JSON.stringify(junk.json())}\n`)])
  const env = junk.below(4) === 0 ? { EVENTUALI_STORE: 'memory:' } : {}
  const code = await main(argv, { stdin, stdout, stderr, env })
  const said = stderr.text
  const shown = `${JSON.stringify(argv)} ended with ${code}: ${said.slice(0, 300)}`
  if (![0, 1, 2].includes(code)) return shown
  if (code === 2 && said === '') return `${shown} (says nothing)`
  if (code === 1 && said === '' && stdout.text === '') return `${shown} (says nothing)`
  if (/^ {4}at /m.test(said)) return `${shown} (a stack)`
  // The only failures that name no code are those that nobody has thought of.
  const isUnplanned = /; run it with --debug/.test(said) && !/^eventuali: [A-Z_]+: /m.test(said)
  if (isUnplanned) return `${shown} (unplanned)`
  return code === 0 ? undefined : { refused: `exit code ${code}` }
}

/** The command line, called as a function. */
export function commandTargets(): Target[] {
  const open = async () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventuali-input-'))
    const before = process.cwd()
    process.chdir(folder)
    const line = '{"stream":"s-1","type":"T","data":{"n":1}}\n'
    writeFileSync('good.ndjson', line.repeat(3))
    writeFileSync('bad.ndjson', `${line}{"stream":\n`)
    writeFileSync('odd.mjs', 'export default { rename: 7 }\nexport const x = () => 1\n')
    const files = ['good.ndjson', 'bad.ndjson', 'odd.mjs', '-', 'none.ndjson', '.']
    return {
      tryOnce: (junk: Junk) => runCommand(junk, files),
      close: async () => {
        process.chdir(before)
        rmSync(folder, { recursive: true, force: true })
      },
    }
  }
  return [{ name: 'command lines', cases: 3000, open }]
}
