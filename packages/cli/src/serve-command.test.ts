import { expect, it } from 'vitest'
import { run } from './run.test-support.ts'

const serve = (...argv: readonly string[]) =>
  run(['serve', '--store', 'memory:', ...argv], { env: { SHORT: 'x', KEY: 'k_0123456789abcdef' } })

it('serve refuses what would let anybody in, or makes no sense', async () => {
  for (const [argv, code, words] of [
    [['--host', '0.0.0.0'], 2, '--api-key-env NAME'],
    [['--api-key-env', 'MISSING'], 2, 'the variable MISSING is not set'],
    [['--api-key-env', 'KEY:king'], 2, 'read, write or admin'],
    [['--api-key-env', 'SHORT'], 1, '16 random characters'],
    [['--anonymous', 'king'], 2, 'read, write, admin'],
    [['--port', '70000'], 2, 'from 0 to 65535'],
    [['--jwt-issuer', 'https://id.example.com'], 2, 'go together'],
    [['--config', 'nothing.ts'], 1, 'nothing.ts is not there'],
  ] as const) {
    const ran = await serve(...argv)
    expect([argv, ran.code, ran.err]).toEqual([argv, code, expect.stringContaining(words)])
  }
  const ran = await run(['serve'])
  expect([ran.code, ran.err]).toEqual([2, expect.stringContaining('which store?')])
  const help = await run(['serve', '--help'])
  expect(help.out).toContain('eventuali serve --store sqlite:shop.db')
})
