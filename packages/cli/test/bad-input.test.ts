import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
} from '../../eventuali/test/servers/postgres.ts'
import { run as runMain } from '../src/run.test-support.ts'
import { seedStore } from './seeded-store.ts'

const shop = join(import.meta.dirname, 'shop')

/** What each command needs at least; FOLDER is one for files. */
const needed: Readonly<Record<string, string>> = {
  import: 'FOLDER/orders.ndjson',
  append: 'order-9 OrderPaid {"amount":1}',
  recode: '--to json',
  fork: '--into FOLDER/fork.db',
  'migrate-events': '--to sqlite:FOLDER/moved.db',
  'schema show': 'OrderPaid',
  'schema diff': 'OrderPaid',
  'subscriptions status': 'mailer',
  'subscriptions pause': 'mailer',
  'subscriptions resume': 'mailer',
  'deadletters show': 'mailer/x',
  'deadletters retry': 'mailer/x',
  'deadletters discard': 'mailer/x --reason because --yes',
  'deadletters prune': '--older-than 1d --yes',
  'deadlines cancel': 'nothing --yes',
  'aggregate show': 'order-1',
  'aggregate diff': 'order-1 --from 1',
  'aggregate history': 'order-1',
  'projections status': 'totals',
  'projections compare': 'totals',
  'projections rebuild': 'totals',
  'projections switch': 'totals 1',
  'projections rollback': 'totals',
  'projections pause': 'totals',
  'projections resume': 'totals',
  'processes show': 'reminders 1',
  'processes resume': 'reminders 1',
  'processes skip': 'reminders 1 --yes',
  'processes compensate': 'reminders 1 --yes',
  'processes cancel': 'reminders 1 --yes --reason because',
  replay: '--dry-run',
  'snapshots create': 'order-1',
  'snapshots prune': '--all --yes',
  monitor: '--once',
  benchmark: '--time 20ms --yes',
  completion: 'bash',
  backup: '--out FOLDER/none.backup',
  'backup verify': 'FOLDER/none.backup',
  restore: 'FOLDER/none.backup',
  rollback: '--to 2 --yes',
  init: 'FOLDER/new --yes',
}
/** They look at no store, or at none that is there. */
const storeless = ['config', 'completion', 'docs', 'backup verify', 'restore', 'init']
/** They take nothing that could be wrong but what all take. */
const withoutInput = ['schema list', 'schema history', 'doctor', 'migrate status']

/** What is wrong with the words alone, or with what they name: the exit code, and what is said. */
const wrong: readonly (readonly [command: string, code: number, says: RegExp])[] = [
  ['import FOLDER/none.ndjson', 1, /none\.ndjson/],
  ['import FOLDER/broken.ndjson', 1, /line 2/],
  ['import FOLDER/orders.ndjson --batch 0', 2, /whole number/],
  ['import FOLDER/orders.ndjson --format csv', 2, /xes/],
  ['export --format csv', 2, /xes/],
  ['export --out FOLDER/none/a.ndjson', 1, /none/],
  ['query --limit -1', 2, /whole number/],
  ['query --from yesterday', 2, /2013-01-31/],
  ['query --where total=30', 2, /data/],
  ['query --where data..total=1', 2, /data/],
  ['streams --limit -1', 2, /whole number/],
  ['append order-1 OrderPaid {', 2, /JSON/],
  ['append order-1 OrderPaid {"amount":1} --expect 99', 1, /VERSION_CONFLICT/],
  ['append order-1 $archived {}', 1, /NAME_INVALID/],
  ['append order-1 Unheard {} --time x', 2, /time/],
  ['verify --snapshots x', 2, /whole number/],
  ['recode --to xml', 2, /msgpack/],
  ['fork --into FOLDER/fork.db --at x', 2, /number/],
  ['migrate-events', 1, /MIGRATION|--to|rename/],
  ['migrate-events --to sqlite:FOLDER/moved.db --rename x', 2, /OLD=NEW/],
  ['migrate-events --to sqlite:FOLDER/moved.db --plan FOLDER/none.ts', 1, /none\.ts/],
  ['schema show Unheard', 1, /Unheard/],
  ['schema diff OrderPaid 7', 1, /version 7/],
  ['schema check --mode sideways', 2, /backward/],
  ['schema check --registry FOLDER/none.ndjson', 1, /cannot be read/],
  ['schema check --registry x --store y', 2, /not both/],
  ['schema register --events FOLDER/none.ts', 1, /none\.ts/],
  ['serve --port 70000', 2, /whole number/],
  ['serve --host 0.0.0.0', 2, /who is let in/],
  ['mcp --host 127.0.0.1', 2, /--http/],
  ['tune --timeout 0', 2, /whole number/],
  ['health --lag-max x', 2, /whole number/],
  ['tail --lines x', 2, /whole number/],
  ['tail --where x', 2, /data/],
  ['subscriptions status nobody', 1, /there are mailer/],
  ['subscriptions pause nobody', 1, /there are mailer/],
  ['subscriptions resume nobody', 1, /there are mailer/],
  ['subscriptions list --sample soon', 2, /250ms/],
  ['deadletters show mailer/x', 1, /no dead letter/],
  ['deadletters list --state lost', 2, /parked/],
  ['deadletters retry', 2, /--subscription/],
  ['deadletters discard mailer/x', 2, /--reason/],
  ['deadletters prune --older-than soon', 2, /250ms/],
  ['deadlines list --within soon', 2, /250ms/],
  ['deadlines cancel nothing --yes', 1, /no schedule/],
  ['monitor --interval soon', 2, /250ms/],
  ['benchmark --time 20ms', 1, /--yes/],
  ['benchmark --bytes 0', 2, /whole number/],
  ['aggregate show parcel-1', 1, /parcel/],
  ['aggregate show order-99', 1, /order-99/],
  ['aggregate diff order-1 --from x', 2, /position/],
  ['aggregate history order-1 paid', 1, /Pointer|begin/],
  ['projections list --sample soon', 2, /250ms/],
  ['projections status sums', 1, /totals/],
  ['projections pause sums', 1, /totals/],
  ['projections resume sums', 1, /totals/],
  ['projections rollback totals', 1, /generation/],
  ['projections rebuild sums', 1, /totals/],
  ['projections switch totals 9', 1, /9/],
  ['projections switch totals x', 2, /number/],
  ['projections compare sums', 1, /totals/],
  ['processes list --status lost', 2, /stuck/],
  ['processes list nothing --json', 1, /reminders/],
  ['processes show reminders 99', 1, /99/],
  ['processes resume reminders 99', 1, /99/],
  ['processes skip reminders 3', 1, /--yes/],
  ['processes compensate nothing 1 --yes', 1, /reminders/],
  ['processes show nothing 1', 1, /reminders/],
  ['processes cancel reminders 1', 2, /reason/],
  ['replay --into FOLDER/x --projection totals', 2, /--into/],
  ['replay', 2, /--into/],
  ['replay --dry-run --to soon', 2, /2013-01-31/],
  ['replay --projection sums', 1, /totals/],
  ['snapshots create parcel-1', 1, /parcel/],
  ['snapshots list --limit 0', 2, /whole number/],
  ['snapshots prune', 2, /--all/],
  ['snapshots prune --all', 1, /--yes/],
  ['snapshots verify --aggregate parcel', 1, /order/],
  ['config --profile none', 1, /none/],
  ['completion tcsh', 2, /bash/],
  ['docs nothing', 1, /nothing/],
  ['backup', 2, /--out/],
  ['backup --out FOLDER/none/a', 1, /folder/],
  ['backup verify FOLDER/broken.ndjson', 1, /BACKUP_INVALID/],
  ['restore FOLDER/broken.ndjson', 1, /BACKUP_INVALID/],
  ['migrate apply --to 99', 1, /must be a step from/],
  ['migrate plan --to x', 2, /whole number/],
  ['rollback --to 99 --yes', 1, /must be a step from/],
  ['init FOLDER/new', 1, /--yes/],
]

describe.each(['sqlite', 'postgres'])('bad input to commands on %s', (kind) => {
  const isSkipped = kind === 'postgres' && postgresSkipReason() !== undefined
  describe.skipIf(isSkipped)('which is there', () => {
    let server: PostgresServer | undefined
    let folder: string
    let store: string
    let nowhere: string
    let commands: readonly string[]
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'eventuali-bad-input-'))
      server = kind === 'postgres' ? await startPostgres() : undefined
      store = (await server?.database()) ?? `sqlite:${join(folder, 'shop.db')}`
      nowhere = `sqlite:${join(folder, 'nowhere', 'none.db')}`
      if (server !== undefined) {
        const url = new URL(server.url)
        url.pathname = '/no_such_database'
        nowhere = url.href
      }
      await seedStore(store)
      const line = '{"stream":"order-8","type":"OrderPaid","data":{"amount":1}}\n'
      writeFileSync(join(folder, 'orders.ndjson'), line)
      writeFileSync(join(folder, 'broken.ndjson'), `${line}{"stream":\n`)
      const list = (await runMain(['docs'])).out.split('\nPages')[0] ?? ''
      const paths = [...list.matchAll(/^ {2}(\S+(?: \S+)*) {2,}/gm)].map(([, path = '']) => path)
      const isGroup = (path: string) => paths.some((other) => other.startsWith(`${path} `))
      commands = paths.filter((path) => path === 'backup' || !isGroup(path))
    })
    afterAll(async () => {
      await server?.stop()
      rmSync(folder, { recursive: true, force: true })
    })
    const run = (command: string, ...more: string[]) => {
      const words = command.split(' ').map((word) => word.replaceAll('FOLDER', folder))
      return runMain([...words, ...more], { cwd: shop, env: { EVENTUALI_STORE: store } })
    }
    const full = (command: string) => `${command} ${needed[command] ?? ''}`.trim()

    /** What is wrong with how a command line ended; what a program never says is always wrong. */
    async function complaints(
      command: string,
      more: readonly string[],
      wanted: { readonly code?: number; readonly says: RegExp; readonly isQuiet?: boolean },
    ): Promise<readonly string[]> {
      const { code, out, err } = await run(command, ...more)
      const said = `${out}${err}`
      const isCode = wanted.code === undefined ? code > 0 : code === wanted.code
      const isMuddled = /^ +at |TypeError|undefined|\[object/m.test(said)
      const isQuiet = wanted.isQuiet !== true || out === ''
      if (isCode && isQuiet && !isMuddled && wanted.says.test(said)) return []
      return [`${command} ends with ${code}: ${said}`]
    }

    it('every command refuses an option that it has not', async () => {
      const says = /^eventuali: unknown option '--no-such-option'/
      const wanted = { code: 2, says, isQuiet: true }
      const found: string[] = []
      for (const command of commands) {
        found.push(...(await complaints(full(command), ['--no-such-option'], wanted)))
      }
      expect(found).toEqual([])
    })

    it('every command that looks at a store says so when it is none, or not there', async () => {
      const asked = commands.filter((command) => !storeless.includes(command))
      const found: string[] = []
      for (const command of asked) {
        const there = ['--store', nowhere]
        const says = /none\.db|nowhere|no_such_database/
        found.push(...(await complaints(full(command), there, { says })))
        const none = ['--store', 'mysql://db/shop']
        found.push(...(await complaints(full(command), none, { says: /mysql/ })))
      }
      expect(found).toEqual([])
    })

    it('every command refuses what it cannot mean, and says what it takes', async () => {
      const before = (await run('export')).out
      const found: string[] = []
      for (const [command, code, says] of wrong) {
        found.push(...(await complaints(command, [], { code, says, isQuiet: true })))
      }
      expect(found).toEqual([])
      const isTried = (path: string) => wrong.some(([one]) => `${one} `.startsWith(`${path} `))
      expect(commands.filter((path) => !isTried(path))).toEqual(withoutInput)
      expect((await run('export')).out).toBe(before)
    })
  })
})
