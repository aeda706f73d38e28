import { expect, it } from 'vitest'
import { run } from './run.test-support.ts'

// What these print is data or a script already, or they speak a protocol of their own.
const withoutJson = ['export', 'mcp', 'completion', 'docs']

it('every command that tells something tells it to programs, too', async () => {
  const list = (await run(['docs'])).out.split('\nPages')[0] ?? ''
  const paths = [...list.matchAll(/^ {2}(\S+(?: \S+)*) {2,}/gm)].map(([, path = '']) => path)
  const commands = paths.filter((path) => !paths.some((other) => other.startsWith(`${path} `)))
  expect(commands.length).toBeGreaterThan(50)
  const missing: string[] = []
  for (const path of commands) {
    const { out } = await run([...path.split(' '), '--help'])
    if (!/^ +--json /m.test(out)) missing.push(path)
  }
  expect(missing).toEqual(withoutJson)
})
