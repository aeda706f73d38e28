import { describe, expect, it } from 'vitest'
import { sectionOf } from './guide.ts'
import { run } from './run.test-support.ts'

describe('docs', () => {
  it('lists every command and page', async () => {
    const { code, out } = await run(['docs'])
    expect(code).toBe(0)
    expect(out).toMatch(/^ {2}schema check +which stored events/m)
    expect(out).toMatch(/^ {2}time-travel +\S/m)
  })

  it('prints the help of a command with what the guide says of it', async () => {
    const { code, out } = await run(['docs', 'recode'])
    expect(code).toBe(0)
    expect(out).toMatch(/^Usage: eventuali recode /)
    expect(out).toContain('\n## recode\n')
    const inner = await run(['docs', 'schema', 'check'])
    expect(inner.out).toMatch(/^Usage: eventuali schema check /)
    // Its row in the guide points to a page of its own.
    expect(inner.out).toContain('\n# Schemas\n')
    const part = await run(['docs', 'fork'])
    expect(part.out).toContain('\n## A store as it was\n')
    expect(part.out).not.toContain('\n# Time travel\n')
  })

  it('prints a page, and what an error code means', async () => {
    expect((await run(['docs', 'time-travel'])).out).toMatch(/^# /)
    const { out } = await run(['docs', 'version_conflict'])
    expect(out).toMatch(/^### `VERSION_CONFLICT`\n/)
    expect(out).toContain('What to do: load again, decide again, append again\n')
  })

  it.each([['nothing'], ['../errors'], ['query', 'nothing']])('knows no %s', async (...words) => {
    const { code, out, err } = await run(['docs', ...words])
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain('there is no command, page or error')
  })

  it('takes a section to the next heading of its depth, code left alone', () => {
    const page = '# A\n\n## B c\none\n```sh\n# no heading\n```\n### D\n## E\n'
    expect(sectionOf(page, 'b-c')).toBe('## B c\none\n```sh\n# no heading\n```\n### D\n')
    expect(sectionOf(page, 'e')).toBe('## E\n')
    expect(sectionOf(page, 'no-heading')).toBeUndefined()
  })
})
