import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import type { Reporter, TestModule, Vitest } from 'vitest/node'
import type { ContractResult, Skip, Tally } from './tally.ts'

// As the binder names them: "PORT contract: NAME (LABEL) > CASE [needs WHY]".
const contractTest = /(?:^|> )[a-z ]+ contract: ([^>]+) > (.*?)(?: \[needs (.*)\])?$/

interface Counts {
  passed: number
  failures: string[]
  skips: Skip[]
  contract: ContractResult[]
}

/** Why a test failed, in one line: where a log is cut, it is all that is left of it. */
function firstWords(errors: readonly { readonly message: string }[]): string {
  const message = errors[0]?.message ?? 'no error told'
  return stripVTControlCharacters(message).replace(/\s+/g, ' ').slice(0, 300)
}

function countModule(module: TestModule, counts: Counts): void {
  const file = relative(process.cwd(), module.moduleId)
  // A file that cannot be loaded, or a hook that fails, runs no test: it must not look like a pass.
  for (const error of module.errors()) counts.failures.push(`${file}: ${error.message}`)
  for (const suite of module.children.allSuites()) {
    for (const error of suite.errors()) {
      counts.failures.push(`${file} > ${suite.fullName}: ${error.message}`)
    }
  }
  for (const test of module.children.allTests()) {
    const result = test.result()
    const [, adapter, contractCase, need] = contractTest.exec(test.fullName) ?? []
    const name = `${file} > ${test.fullName}`
    const why = result.state === 'skipped' ? (result.note ?? need ?? 'no reason given') : ''
    if (result.state === 'passed') counts.passed++
    else if (result.state === 'skipped')
      counts.skips.push({ name, why, denied: need !== undefined })
    else {
      const said = result.state === 'failed' ? firstWords(result.errors) : 'did not run'
      counts.failures.push(`${name} (${said})`)
    }
    if (adapter === undefined || contractCase === undefined) continue
    const ran = result.state === 'pending' ? 'failed' : result.state
    const state = ran === 'skipped' && need !== undefined ? 'denied' : ran
    counts.contract.push({ adapter, name: contractCase, state, why })
  }
}

/** Writes the counts of a vitest run, with the reasons of skips, to $EVENTUALI_TALLY. */
export default class TallyReporter implements Reporter {
  #vitest: Vitest | undefined

  onInit(vitest: Vitest): void {
    this.#vitest = vitest
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly { message: string }[]): void {
    const file = process.env.EVENTUALI_TALLY
    if (file === undefined || this.#vitest === undefined) return
    const counts: Counts = { passed: 0, failures: [], skips: [], contract: [] }
    for (const module of modules) countModule(module, counts)
    for (const error of unhandled) counts.failures.push(`unhandled: ${error.message}`)
    const tally: Tally = { suite: '', seconds: 0, ...counts }
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, JSON.stringify(tally))
  }
}
