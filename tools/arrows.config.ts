import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { IForbiddenRuleType } from 'dependency-cruiser'

const library = 'packages/eventuali/src'

/**
 * The ranks of the library's folders: an import may only point to a lower one. This table is the
 * only place that says so; a folder that is not in it fails the check.
 */
export const ranks: Readonly<Record<string, number>> = {
  kernel: 0,
  model: 1,
  ports: 2,
  commands: 3,
  schemas: 3,
  snapshots: 3,
  subscriptions: 3,
  security: 3,
  tenancy: 3,
  observability: 3,
  caching: 3,
  replicas: 3,
  'stores/*': 3,
  'brokers/*': 3,
  'cloud/*': 3,
  projections: 4,
  processes: 4,
  pipelines: 5,
  analytics: 5,
  distributed: 5,
  store: 6,
  config: 7,
  testing: 7,
}

/** Half a rank below the stores: what the SQL stores share, closed to everyone else. */
const sharedSql = { folder: 'stores/sql', rank: 2.5 }

const adapterFolders = ['stores', 'brokers', 'cloud']
/** Tests may reach up (a store's test runs the contract); they still knock at doors. */
const testFile = '\\.(test|prop|fault|contract)[^/]*\\.ts$|\\.test-d\\.ts$'

/** Regular expression source for the files of a folder of the table. */
function filesOf(folder: string): string {
  return folder.endsWith('/*')
    ? `^${library}/${folder.slice(0, -2)}/(?!sql/)[^/]+/`
    : `^${library}/${folder}/`
}

function rankRules(): IForbiddenRuleType[] {
  const table = [...Object.entries(ranks), [sharedSql.folder, sharedSql.rank] as const]
  return table.map(([folder, rank]) => {
    const notLower = table.filter(([other, r]) => other !== folder && r >= rank)
    return {
      name: `rank:${folder}`,
      comment: `${folder} (rank ${rank}) may only import folders of a lower rank`,
      severity: 'error',
      from: { path: filesOf(folder), pathNot: testFile },
      to: { path: [...notLower.map(([other]) => filesOf(other)), `^${library}/[^/]+\\.ts$`] },
    }
  })
}

function unrankedRule(): IForbiddenRuleType {
  const known = [...Object.keys(ranks), sharedSql.folder].map(filesOf)
  return {
    name: 'unranked',
    comment: 'every folder of the library needs a rank in tools/arrows.config.ts',
    severity: 'error',
    from: { path: `^${library}/[^/]+/`, pathNot: known },
    to: {},
  }
}

function adapterRules(): IForbiddenRuleType[] {
  const adapters = `^${library}/(${adapterFolders.join('|')})/`
  return [
    {
      name: 'adapters-apart',
      comment: 'adapters never import each other; the SQL ones may share stores/sql',
      severity: 'error',
      from: { path: `${adapters}([^/]+)/`, pathNot: testFile },
      to: { path: adapters, pathNot: [`^${library}/$1/$2/`, `^${library}/${sharedSql.folder}/`] },
    },
    {
      name: 'adapters-hidden',
      comment: 'only store/, doors, testing and programs know an adapter',
      severity: 'error',
      from: {
        path: `^${library}/[^/]+/`,
        pathNot: [adapters, `^${library}/(store|testing)/`, testFile],
      },
      to: { path: adapters },
    },
    {
      name: 'shared-sql-private',
      comment: 'stores/sql is for the SQL stores alone',
      severity: 'error',
      from: { pathNot: [`^${library}/stores/`, testFile] },
      to: { path: `^${library}/${sharedSql.folder}/` },
    },
  ]
}

/** Every folder with an index.ts is a room with one door, nested ones too. */
function doorRules(baseDir: string): IForbiddenRuleType[] {
  const rooms: string[] = []
  const visit = (folder: string): void => {
    if (!existsSync(join(baseDir, folder))) return
    for (const entry of readdirSync(join(baseDir, folder), { withFileTypes: true })) {
      if (!entry.isDirectory()) continue
      const path = `${folder}/${entry.name}`
      // A top folder without a door is closed altogether; adapters' parents are only shelves.
      const top = folder === library && !adapterFolders.includes(entry.name)
      if (top || existsSync(join(baseDir, path, 'index.ts'))) rooms.push(path)
      visit(path)
    }
  }
  visit(library)
  return rooms.map((room) => ({
    name: `door:${room.slice(library.length + 1)}`,
    comment: `${room} is entered through its index.ts only`,
    severity: 'error',
    from: {
      path: '^packages/[^/]+/src/',
      // A folder's own tests may look into the rooms inside it.
      pathNot: [`^${room}/`, `^${dirname(room)}/[^/]+(${testFile})`],
    },
    to: { path: `^${room}/`, pathNot: `^${room}/index\\.ts$` },
  }))
}

function houseRules(): IForbiddenRuleType[] {
  return [
    {
      name: 'cycle',
      comment: 'no file reaches itself, by values or by types',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'unresolved',
      comment: 'an import that leads nowhere would hide an arrow',
      severity: 'error',
      from: {},
      // Packages of this workspace lead to dist, which need not be built to check arrows.
      // The SDK says of its subpaths that their types are elsewhere than they are.
      to: {
        couldNotResolve: true,
        pathNot: ['^(eventuali|@eventuali/)', '^@modelcontextprotocol/sdk/'],
      },
    },
    {
      name: 'package-name',
      // The benchmarks may: they run a store's own statements by hand.
      comment: 'another package is imported by its name, not by a path into its sources',
      severity: 'error',
      from: { path: '^(packages/([^/]+)|examples)/', pathNot: '^packages/eventuali/' },
      to: { path: '^packages/eventuali/src/' },
    },
    {
      name: 'server-apart',
      comment: 'the command line starts the server; the server knows nothing of it',
      severity: 'error',
      from: { path: '^packages/server/' },
      to: { path: ['^packages/cli/', '^@eventuali/cli'] },
    },
    {
      name: 'name',
      comment: 'a file is named for its noun',
      severity: 'error',
      from: {},
      to: { path: '(^|/)(utils?|helpers?|common|types?)\\.[cm]?[jt]s$', pathNot: 'node_modules' },
    },
    {
      name: 'programs-above',
      comment: 'the library never imports a program, a test or a tool',
      severity: 'error',
      from: { path: `^${library}/`, pathNot: testFile },
      to: { path: ['^(packages/(?!eventuali/)|examples/|bench/|tools/|packages/[^/]+/test/)'] },
    },
  ]
}

/**
 * All rules for the tree under `baseDir`.
 *
 * @example
 * ```ts
 * arrowRules(process.cwd()).map((rule) => rule.name)
 * ```
 */
export function arrowRules(baseDir: string): IForbiddenRuleType[] {
  return [...rankRules(), unrankedRule(), ...adapterRules(), ...doorRules(baseDir), ...houseRules()]
}
