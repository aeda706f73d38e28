import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { run } from './run.test-support.ts'

const execute = promisify(execFile)

describe('completion bash, in bash', () => {
  let script: string
  beforeAll(async () => {
    script = (await run(['completion', 'bash'])).out
  })

  /** What bash offers for the last word of each line. */
  async function complete(lines: readonly (readonly string[])[]): Promise<readonly string[][]> {
    const calls = lines.map((words) => {
      const list = words.map((word) => `'${word}'`).join(' ')
      return `COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _eventuali; echo "\${COMPREPLY[*]}"`
    })
    const { stdout } = await execute('bash', ['--norc', '-c', `${script}\n${calls.join('\n')}`])
    return stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split(' ').filter((word) => word !== ''))
  }

  it('completes commands, options and choices', async () => {
    const [command, among, inner, option, short, choice, value, flagged] = await complete([
      ['eventuali', 'ap'],
      ['eventuali', 'ex'],
      ['eventuali', 'schema', ''],
      ['eventuali', 'schema', 'list', '--js'],
      ['eventuali', 'append', '--prof'],
      ['eventuali', 'recode', '--to', ''],
      ['eventuali', 'query', '--store', ''],
      ['eventuali', '--profile', 'append', 'sch'],
    ])
    expect(command).toEqual(['append'])
    expect(among).toEqual(['export'])
    expect(inner).toEqual(['list', 'show', 'history', 'diff', 'check', 'register'])
    expect(option).toEqual(['--json'])
    expect(short).toEqual(['--profile'])
    expect(choice).toEqual(['json', 'msgpack'])
    // Left to bash, which offers files.
    expect(value).toEqual([])
    // The value of an option is no command.
    expect(flagged).toEqual(['schema'])
  })

  it('is what the shell calls for the program', async () => {
    const { stdout } = await execute('bash', ['--norc', '-c', `${script}\ncomplete -p eventuali`])
    expect(stdout).toBe('complete -o default -F _eventuali eventuali\n')
  })
})

describe('completion', () => {
  it.each(['zsh', 'fish'])('%s names every command and its options', async (shell) => {
    const { code, out } = await run(['completion', shell])
    expect(code).toBe(0)
    const { out: bash } = await run(['completion', 'bash'])
    const commands = [...bash.matchAll(/^ +' ([a-z-]+)'\) at=/gm)].map(([, name]) => name)
    expect(commands).toContain('append')
    expect(commands).toContain('schema')
    for (const name of commands) expect(out).toMatch(new RegExp(`'${name}['\\\\:]`))
    expect(out).toContain(shell === 'fish' ? '-l expect' : '--expect')
  })

  it('refuses a shell that it does not know', async () => {
    const { code, err } = await run(['completion', 'csh'])
    expect(code).toBe(2)
    expect(err).toContain('bash, zsh, fish')
  })
})
