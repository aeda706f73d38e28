import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { VariableDeclarator } from '@swc/core'
import { Visitor } from '@swc/core/Visitor.js'
import { cruise, type ICruiseResult } from 'dependency-cruiser'
import { arrowRules } from './arrows.config.ts'

// swc parses `using` and `await using`, but the visitor that comes with it stops at them.
const visitStatement = Visitor.prototype.visitStatement
Visitor.prototype.visitStatement = function (statement) {
  if ((statement.type as string) !== 'UsingDeclaration') return visitStatement.call(this, statement)
  const { decls } = statement as unknown as { decls: VariableDeclarator[] }
  this.visitVariableDeclarators(decls)
  return statement
}

/** One arrow that points the wrong way. */
export interface BrokenArrow {
  readonly rule: string
  readonly from: string
  readonly to: string
  readonly why: string
}

/** What was looked at, and what is wrong with it. */
export interface ArrowReport {
  readonly filesCount: number
  readonly arrowsCount: number
  readonly broken: readonly BrokenArrow[]
}

/** Reads every import (type imports too) of the tree under `baseDir` and checks its direction. */
export async function checkArrows(baseDir: string): Promise<ArrowReport> {
  const folders = ['packages', 'examples', 'bench'].filter((f) => existsSync(resolve(baseDir, f)))
  const forbidden = arrowRules(baseDir)
  const comments = new Map(forbidden.map((rule) => [rule.name, rule.comment ?? '']))
  const { output } = await cruise(
    folders,
    {
      baseDir,
      validate: true,
      ruleSet: { forbidden },
      // TypeScript 7 has no compiler API yet; swc reads the syntax, `import type` included.
      parser: 'swc',
      tsPreCompilationDeps: true,
      exclude: { path: '(^|/)(node_modules|dist|\\.tmp)/' },
      doNotFollow: { path: 'node_modules' },
    },
    { extensions: ['.ts', '.mjs', '.js'], conditionNames: ['types', 'import', 'node', 'default'] },
  )
  const result = output as ICruiseResult
  const { violations, totalCruised, totalDependenciesCruised } = result.summary
  return {
    filesCount: totalCruised,
    arrowsCount: totalDependenciesCruised ?? 0,
    broken: violations.map((v) => ({
      rule: v.rule.name,
      from: v.from,
      to: v.cycle ? v.cycle.map((step) => step.name).join(' -> ') : v.to,
      why: comments.get(v.rule.name) ?? '',
    })),
  }
}

if (import.meta.main) {
  const report = await checkArrows(process.cwd())
  for (const { rule, from, to, why } of report.broken) {
    console.error(`${rule}: ${from} -> ${to}\n  ${why}`)
  }
  const { filesCount, arrowsCount, broken } = report
  console.log(`${filesCount} files, ${arrowsCount} imports, ${broken.length} wrong`)
  // An empty answer means that the parser did not see the sources.
  process.exitCode = broken.length > 0 || arrowsCount === 0 ? 1 : 0
}
