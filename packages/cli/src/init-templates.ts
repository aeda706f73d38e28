/** What the templates are filled with. */
export interface InitNames {
  /** The aggregate, `lineItem`. */
  readonly aggregate: string
  /** TypeScript for the store's url. */
  readonly store: string
  /** Whether `store` refers to a secret. */
  readonly hasSecret: boolean
  /** `ts`, or `mts` where the package is CommonJS. */
  readonly ending: 'ts' | 'mts'
}

/** `lineItem` is `LineItem`. */
export const typeName = (name: string): string => `${name.charAt(0).toUpperCase()}${name.slice(1)}`

/** `lineItem` is `line-item`. */
export const fileName = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** `an order`, `a task`. */
const withArticle = (name: string): string => `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`

/** The configuration. */
export function configText({ aggregate, store, hasSecret, ending }: InitNames): string {
  const imported = hasSecret ? 'defineConfig, secret' : 'defineConfig'
  return `import { ${imported} } from 'eventuali'
import { ${aggregate}Events, ${typeName(aggregate)} } from './src/${fileName(aggregate)}.${ending}'

export default defineConfig({
  store: ${store},
  events: [${aggregate}Events],
  aggregates: [${typeName(aggregate)}],
})
`
}

/** An aggregate, typed. */
export function aggregateText({ aggregate }: InitNames): string {
  const [type, events] = [typeName(aggregate), `${aggregate}Events`]
  return `import { defineAggregate, defineEvents, reject, type } from 'eventuali'

/** What can happen to ${withArticle(aggregate)}. */
export const ${events} = defineEvents({
  ${type}Opened: type<{ title: string }>(),
  ${type}Renamed: type<{ title: string }>(),
  ${type}Closed: type<{ reason: string }>(),
})

export interface ${type}State {
  readonly status: 'new' | 'open' | 'closed'
  readonly title: string
}

export const ${type} = defineAggregate('${aggregate}', {
  events: ${events},
  initial: (): ${type}State => ({ status: 'new', title: '' }),
  evolve: {
    ${type}Opened: (_state, { data }) => ({ status: 'open', title: data.title }),
    ${type}Renamed: (state, { data }) => ({ ...state, title: data.title }),
    ${type}Closed: (state) => ({ ...state, status: 'closed' }),
  },
  commands: {
    open: (state, input: { title: string }) =>
      state.status === 'new' ? ${events}.${type}Opened(input) : reject('it was opened before'),
    rename: (state, input: { title: string }) =>
      state.status === 'open' ? ${events}.${type}Renamed(input) : reject('it is not open'),
    close: (state, input: { reason: string }) =>
      state.status === 'open' ? ${events}.${type}Closed(input) : reject('it is not open'),
  },
})
`
}

/** A test of the aggregate. */
export function testText({ aggregate, ending }: InitNames): string {
  const [type, events] = [typeName(aggregate), `${aggregate}Events`]
  return `import { test } from 'node:test'
import { given } from 'eventuali/testing'
import { ${events}, ${type} } from './${fileName(aggregate)}.${ending}'

const opened = ${events}.${type}Opened({ title: 'first' })
const closed = ${events}.${type}Closed({ reason: 'done' })

test('${withArticle(aggregate)} is opened once', () => {
  given(${type}, []).when('open', { title: 'first' }).then([opened])
  given(${type}, [opened]).when('open', { title: 'again' }).thenRejects('it was opened before')
})

test('${withArticle(aggregate)} that is closed stays as it is', () => {
  given(${type}, [opened]).when('close', { reason: 'done' }).then([closed])
  given(${type}, [opened, closed]).when('rename', { title: 'other' }).thenRejects('it is not open')
  given(${type}, [opened, closed]).thenState({ status: 'closed', title: 'first' })
})
`
}

/** A package for a folder that has none. */
export function packageText(version: string): string {
  const content = {
    private: true,
    type: 'module',
    scripts: { test: 'node --test "src/**/*.test.ts"', types: 'tsc' },
    dependencies: { eventuali: `^${version}` },
    devDependencies: {
      '@eventuali/cli': `^${version}`,
      '@types/node': '^24.0.0',
      typescript: '>=5.9.0',
    },
  }
  return `${JSON.stringify(content, null, 2)}\n`
}

/** How the compiler checks sources that Node runs as they are. */
export function tsconfigText(): string {
  const content = {
    compilerOptions: {
      target: 'ES2024',
      lib: ['ES2024', 'ESNext.Disposable'],
      module: 'NodeNext',
      types: ['node'],
      strict: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      verbatimModuleSyntax: true,
      erasableSyntaxOnly: true,
      skipLibCheck: true,
    },
    include: ['eventuali.config.ts', 'src'],
  }
  return `${JSON.stringify(content, null, 2)}\n`
}
