import { Readable, Writable } from 'node:stream'
import { main } from './index.ts'

class Sink extends Writable {
  text = ''
  isTTY = false
  columns = 80
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk
    done()
  }
}

/** How a command ended. */
interface Ran {
  code: number
  out: string
  err: string
}

/** Runs a command line with streams of its own. */
export async function run(
  argv: readonly string[],
  more: {
    stdin?: string
    /** Standard input is a terminal, at which `stdin` is typed. */
    typed?: boolean
    env?: Record<string, string>
    terminal?: number
    /** Where the configuration is looked for. */
    cwd?: string
  } = {},
  commands?: Parameters<typeof main>[2],
): Promise<Ran> {
  const stdout = new Sink()
  const stderr = new Sink()
  if (more.terminal !== undefined) {
    stdout.isTTY = true
    stderr.isTTY = true
    stdout.columns = more.terminal
  }
  const input = Readable.from(more.stdin === undefined ? [] : [Buffer.from(more.stdin)])
  const stdin = Object.assign(input, { isTTY: more.typed ?? false })
  const { cwd, env = {} } = more
  const code = await main(argv, { stdin, stdout, stderr, env, ...(cwd && { cwd }) }, commands)
  return { code, out: stdout.text, err: stderr.text }
}
