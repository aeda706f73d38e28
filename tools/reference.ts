import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { commandReference } from './command-reference.ts'
import { httpReference } from './http-reference.ts'

/** The pages that are made from code, with what makes them. */
const generated: Readonly<Record<string, () => string | Promise<string>>> = {
  'docs/reference/command-line.md': commandReference,
  'docs/reference/http.md': httpReference,
}

/** Pages that differ from what the code says now. */
export async function referenceFaults(): Promise<string[]> {
  const faults: string[] = []
  for (const [page, make] of Object.entries(generated)) {
    const committed = existsSync(page) ? readFileSync(page, 'utf8') : ''
    if (committed === (await make())) continue
    faults.push(`${page} is not what the code says; "node tools/reference.ts --write"`)
  }
  return faults
}

if (import.meta.main) {
  if (process.argv.includes('--write')) {
    for (const [page, make] of Object.entries(generated)) {
      mkdirSync(dirname(page), { recursive: true })
      writeFileSync(page, await make())
    }
  }
  const faults = await referenceFaults()
  for (const fault of faults) console.error(fault)
  process.exitCode = faults.length > 0 ? 1 : 0
}
