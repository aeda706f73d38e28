import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { run } from '../src/run.test-support.ts'
import { type RunResult, runCli } from './run-cli.ts'

const root = join(import.meta.dirname, '../../..')
const shop = join(import.meta.dirname, 'shop')

/** The words of a command line as a shell reads them: quotes keep them together. */
function wordsOf(line: string): readonly string[] {
  const words = line.match(/"[^"]*"|'[^']*'|[^\s"']+/g) ?? []
  return words.map((word) => word.replace(/^(["'])(.*)\1$/, '$2'))
}

/** A program that runs beside the terminal, started with `&`. */
interface Job {
  readonly child: ChildProcess
  readonly ended: Promise<RunResult>
  /** What has been shown of standard error. */
  shown: number
  readonly port: string
}

const DEFAULT_PORT = '4400'

/**
 * What a reader of the guide types, in the folder of the shop: `eventuali …`, also behind
 * `echo '…' |`, before `| head -n N` or with `&`; then `curl -s URL` and `kill -INT %1`. Files and
 * stores are in `folder`, modules (`.ts`) the shop's.
 */
export class Terminal {
  readonly #folder: string
  #job: Job | undefined

  constructor(folder: string) {
    this.#folder = folder
  }

  /** What a line prints. */
  async shown(line: string): Promise<string> {
    const text = await this.#run(line)
    const named = text
      .replaceAll(`file://${root}`, '')
      .replaceAll(shop, '/srv/shop')
      .replaceAll(root, '')
      .replaceAll(`${this.#folder}/`, '')
      .replaceAll(this.#folder, '/srv/data')
    // Of a stack the page has the first frame.
    return named.replace(/^( +at .*\n)(?: +at .*\n)+/gm, '$1')
  }

  /** Ends what still runs. */
  close(): void {
    this.#job?.child.kill('SIGKILL')
  }

  #run(line: string): Promise<string> {
    if (line === 'kill -INT %1') return this.#interrupt()
    const curl = /^curl -s (\S+)$/.exec(line)?.[1]
    if (curl !== undefined) return this.#fetch(curl)
    const [, stdin, command, head, job] =
      /^(?:echo '([^']*)' \| )?eventuali (.*?)(?: \| head -n (\d+))?( &)?$/.exec(line) ?? []
    if (command === undefined) throw new TypeError(`not a line for this terminal: ${line}`)
    const argv = wordsOf(command).map((word) => this.#pathIn(word))
    if (job !== undefined) return this.#start(argv)
    return this.#command(argv, stdin, head)
  }

  #pathIn(word: string): string {
    if (/^[\w-]+\.ts$/.test(word)) return join(shop, word)
    return word.replace('sqlite:', `sqlite:${this.#folder}/`).replace(/^\.\//, `${this.#folder}/`)
  }

  get #env() {
    return { EVENTUALI_STORE: `sqlite:${join(this.#folder, 'shop.db')}` }
  }

  async #command(argv: readonly string[], stdin?: string, head?: string): Promise<string> {
    const input = stdin === undefined ? {} : { stdin: `${stdin}\n` }
    // Where something begins there is neither a configuration nor a store.
    const place = argv[0] === 'init' ? { cwd: this.#folder } : { cwd: shop, env: this.#env }
    const { code, out, err } = await run(argv, { ...place, ...input })
    const shown = head === undefined ? out : out.split(/^/m).slice(0, Number(head)).join('')
    return `${shown}${err}${code === 0 ? '' : `# ends with ${code}\n`}`
  }

  /** Starts a server, at a port that is free, and returns what it says when it listens. */
  #start(argv: readonly string[]): Promise<string> {
    if (this.#job !== undefined) throw new TypeError('one job at a time')
    return new Promise((resolve, reject) => {
      const during = (child: ChildProcess) => {
        let [out, err] = ['', '']
        const look = () => {
          const port = /^http:\S+:(\d+)$/m.exec(out)?.[1]
          if (this.#job !== undefined || port === undefined || !err.endsWith('\n')) return
          this.#job = { child, ended, shown: err.length, port }
          resolve(`${out}${err}`.replaceAll(`:${port}`, `:${DEFAULT_PORT}`))
        }
        child.stdout?.on('data', (chunk) => {
          out += chunk
          look()
        })
        child.stderr?.on('data', (chunk) => {
          err += chunk
          look()
        })
      }
      const ended: Promise<RunResult> = runCli([...argv, '--port', '0'], {
        ...{ cwd: shop, env: this.#env, during },
      })
      ended.then(({ code, err }) => reject(new Error(`ended with ${code}: ${err}`)), reject)
    })
  }

  async #fetch(url: string): Promise<string> {
    const place = new URL(url)
    if (this.#job === undefined || place.port !== DEFAULT_PORT) {
      throw new TypeError(`nothing listens at ${url}`)
    }
    place.port = this.#job.port
    return `${await (await fetch(place)).text()}\n`
  }

  async #interrupt(): Promise<string> {
    if (this.#job === undefined) throw new TypeError('no job to end')
    const { child, ended, shown } = this.#job
    child.kill('SIGINT')
    const { code, err } = await ended
    this.#job = undefined
    return `${err.slice(shown)}${code === 0 ? '' : `# ends with ${code}\n`}`
  }
}
