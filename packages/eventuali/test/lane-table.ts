/** One harness of the scorecard: a test file that runs real processes, or a great many cases. */
export interface Lane {
  /** Its file below the tests of its package, without `.test.ts`. Lanes in `process/` run alone. */
  readonly file: string
  /** The package that it is of; the library when left out. */
  readonly package?: 'server'
  /** Rows of the scorecard that it shows, unless a campaign names its own. */
  readonly rows: readonly string[]
  readonly does: string
  /** What its campaigns may take together in a pull request, on two cores, in seconds. */
  readonly budgetSeconds: number
  /** How many times as much a soak does. */
  readonly soakScale: number
  /** Part of `npm test`, too, since it takes little time. */
  readonly quick?: true
}

/** The test file of a lane, from the root of the repository. */
export function laneFile({ package: name, file }: Lane): string {
  return `packages/${name ?? 'eventuali'}/test/${file}.test.ts`
}

/** What a lane is called: its file, behind its package where that is not the library. */
export function laneName({ package: name, file }: Lane): string {
  return name === undefined ? file : `${name}: ${file}`
}

/** Every harness in `lanes/` and `process/` of the packages; a check compares it with them. */
export const laneTable: readonly Lane[] = [
  {
    file: 'lanes/sqlite-kill',
    rows: ['R1'],
    does: '100 times SIGKILL to two processes with four writers, batches of 1 to 100; what was acknowledged is kept outside',
    budgetSeconds: 65,
    soakScale: 20,
  },
  {
    file: 'lanes/sqlite-power-loss',
    rows: ['R2'],
    does: 'records every write and sync with strace, cuts the power in 2,000 places: unsynced writes lost, in part, torn at 512 bytes; the relaxed profile must lose some; one sync for 32 callers, counted',
    budgetSeconds: 53,
    soakScale: 25,
    quick: true,
  },
  {
    file: 'process/shared-stream',
    rows: ['R6'],
    does: '16 clients in 4 processes on one stream, SQLite and Postgres; event loop delay',
    budgetSeconds: 10,
    soakScale: 30,
  },
  {
    file: 'process/delivery',
    rows: ['R8'],
    does: 'from append to a handler in another process; CPU of a subscription at rest',
    budgetSeconds: 32,
    soakScale: 10,
  },
  {
    file: 'lanes/schedules',
    rows: ['R8a'],
    does: '2,000 of the 13,440 orders of three transactions, with a reader after each step',
    budgetSeconds: 58,
    soakScale: 6.72,
  },
  {
    file: 'process/race',
    rows: ['R8b'],
    does: "50,000 events of 16 writers that delay, write elsewhere and roll back; 4 followers, 3 filtered readers, 4 durable subscribers and a group of 4 workers, all with restarts; the same order for each of them, for readAll, for a projection's build and its rebuild",
    budgetSeconds: 60,
    soakScale: 100,
  },
  {
    file: 'lanes/conditions',
    rows: ['R6'],
    does: '16 racers for one condition, 1,000 rounds on every store; as many with a plain one among them, on Postgres above an open position',
    budgetSeconds: 99,
    soakScale: 20,
  },
  {
    file: 'lanes/postgres-faults',
    rows: ['R10', 'R12'],
    does: '20 crashes; 100 network faults (reset, half-open, loss, delay, slow reader), 24 more behind PgBouncer',
    budgetSeconds: 102,
    soakScale: 25,
  },
  {
    file: 'lanes/positions-once',
    rows: ['R22'],
    does: 'delete and truncate the newest, then VACUUM, copy, dump and restore: numbers go on',
    budgetSeconds: 5,
    soakScale: 10,
    quick: true,
  },
  {
    file: 'lanes/close-while-listening',
    rows: ['R8'],
    does: 'closes a store at every moment of its connecting to listen',
    budgetSeconds: 3,
    soakScale: 10,
    quick: true,
  },
  {
    file: 'process/pooled-writers',
    rows: ['R12'],
    does: 'four writer processes behind PgBouncer, with and without listeners',
    budgetSeconds: 28,
    soakScale: 10,
  },
  {
    file: 'lanes/group-churn',
    rows: ['R8', 'R16'],
    does: '8 workers of a consumer group that come, leave and die for 60 s beside a ledger of what was handled; SQLite and Postgres',
    budgetSeconds: 96,
    soakScale: 30,
  },
  {
    file: 'process/hand-over',
    rows: ['R8', 'R16'],
    does: 'how soon the partitions of a killed worker of a consumer group are taken over; SQLite and Postgres',
    budgetSeconds: 21,
    soakScale: 10,
  },
  {
    file: 'lanes/projection-kill',
    rows: ['R9'],
    does: '500 times SIGKILL to a projection, before and after ten calls of the store; compared with the log and with a clean rebuild',
    budgetSeconds: 225,
    soakScale: 20,
  },
  {
    file: 'lanes/rebuild',
    rows: ['R9'],
    does: 'rebuilds of the flights, documents and an SQL table, while another process appends: a reader with a connection of its own never sees less than before, nor half of it; SQLite and Postgres',
    budgetSeconds: 32,
    soakScale: 20,
  },
  {
    file: 'lanes/process-kill',
    rows: ['R9'],
    does: '60 times SIGKILL to a worker of processes and an outbox, before and after nine calls; every cause has each effect once, deadlines too, messages keep their ids; SQLite and Postgres',
    budgetSeconds: 33,
    soakScale: 20,
  },
  {
    file: 'lanes/recode-kill',
    rows: ['R21'],
    does: '16 times SIGKILL to a recoding, before, in and after its transactions, beside a writer; four codecs; SQLite and Postgres',
    budgetSeconds: 34,
    soakScale: 20,
  },
  {
    file: 'lanes/fork-kill',
    rows: ['R22'],
    does: '16 forks of 12,000 events in programs that are killed, at a part of the copy or at any moment: complete or not there, the name free again; SQLite and Postgres',
    budgetSeconds: 51,
    soakScale: 20,
  },
  {
    file: 'lanes/backup',
    rows: ['R22'],
    does: '10 chains of a backup and two increments beside six writers that roll back, truncate and delete, restored whole and in part and held against the source, a consumer resumed; 200 altered copies; programs killed at a backup and at a restore; SQLite and Postgres',
    budgetSeconds: 31,
    soakScale: 20,
  },
  {
    file: 'lanes/snapshot-kill',
    rows: ['R1', 'R10'],
    does: "24 times SIGKILL to commands that keep states, after an append and before its state, in the state's transaction and after it; loads against refolds; SQLite and Postgres",
    budgetSeconds: 32,
    soakScale: 20,
    quick: true,
  },
  {
    file: 'lanes/missing-codec',
    rows: ['R18'],
    does: 'a program without an optional package meets events and kept states that were written with it; SQLite and Postgres',
    budgetSeconds: 5,
    soakScale: 1,
    quick: true,
  },
  {
    file: 'lanes/slow-consumer',
    rows: ['R15'],
    does: 'consumers that handle a batch in 250 ms over a backlog of 203,160 events, 150 MiB of it large ones, and a producer at full speed: what they hold and their resident memory grow by 64 MiB at most (with an allocator that gives back what was freed); ephemeral, durable, group and loop, SQLite and Postgres',
    budgetSeconds: 82,
    soakScale: 30,
  },
  {
    file: 'process/away',
    rows: ['R12'],
    does: 'a database connection lost for 10 s beside idle and long transactions of others and a writer that rolls back a third; a subscriber, a group and a projection are current again by themselves',
    budgetSeconds: 15,
    soakScale: 1,
    quick: true,
  },
  {
    file: 'lanes/small-memory',
    rows: ['R17'],
    does: 'the January log with 128 MiB for the heap',
    budgetSeconds: 19,
    soakScale: 1,
    quick: true,
  },
  {
    file: 'lanes/postgres-cut-replies',
    rows: ['R7'],
    does: '500 cut replies and retries with the same id',
    budgetSeconds: 33,
    soakScale: 40,
  },
  {
    file: 'lanes/disk-full',
    rows: ['R3'],
    does: 'a file system of 6 MiB is filled at 50 points: appends, checkpoints, kept states, projections and forks',
    budgetSeconds: 5,
    soakScale: 10,
    quick: true,
  },
  {
    file: 'lanes/disk-full-postgres',
    rows: ['R3'],
    does: 'a tablespace of 24 MiB is filled at 5 points',
    budgetSeconds: 3,
    soakScale: 10,
    quick: true,
  },
  {
    file: 'lanes/failing-io',
    rows: ['R4'],
    does: 'the nth system call of the append path fails, once and from then on, for each n: EIO, ENOSPC, EINTR; power lost after a failed sync; SQLite',
    budgetSeconds: 125,
    soakScale: 4,
  },
  {
    file: 'lanes/corruption',
    rows: ['R5'],
    does: '1,000 flipped bits in rows, pages, log and kept states and 200 cuts of copies of a SQLite log; JSON, MessagePack, zstd',
    budgetSeconds: 36,
    soakScale: 50,
  },
  {
    file: 'lanes/corruption-postgres',
    rows: ['R5'],
    does: '180 flipped bits in rows of Postgres',
    budgetSeconds: 7,
    soakScale: 20,
    quick: true,
  },
  {
    file: 'lanes/verify-faults',
    rows: ['R5'],
    does: '1,000 faults of 56 kinds planted in small stores, SQLite and Postgres; verify names each of them and nothing else',
    budgetSeconds: 27,
    soakScale: 20,
  },
  {
    file: 'lanes/verify-live',
    rows: ['R5'],
    does: 'verify beside writers, truncations, a consumer group, projections and a process reports nothing',
    budgetSeconds: 14,
    soakScale: 5,
  },
  {
    file: 'lanes/verify-healthy',
    rows: ['R5'],
    does: 'verify of 100,000 events in SQLite and 20,000 in Postgres with 128 MiB of heap reports nothing',
    budgetSeconds: 57,
    soakScale: 10,
  },
  {
    file: 'lanes/linearizable',
    rows: ['R6'],
    does: '16 clients in 4 processes write 50 histories of 1,000 calls, with kills, aborts, timeouts and cut replies; a checker judges each; SQLite and Postgres',
    budgetSeconds: 48,
    soakScale: 20,
  },
  {
    file: 'lanes/list-append',
    rows: ['R6'],
    does: 'transactions over several streams, 20 histories; no cycle of dependencies; SQLite and Postgres',
    budgetSeconds: 46,
    soakScale: 20,
  },
  {
    file: 'lanes/checkers',
    rows: ['R6'],
    does: 'the checkers of histories against plain searches, and the histories that once found something',
    budgetSeconds: 4,
    soakScale: 20,
    quick: true,
  },
  {
    file: 'lanes/poison',
    rows: ['R14'],
    does: '1 % of 10,000 events always throw, are mended and retried; memory, SQLite and Postgres',
    budgetSeconds: 40,
    soakScale: 100,
  },
  {
    file: 'lanes/clock-jumps',
    rows: ['R16'],
    does: '400 jumps of wall clocks, over changes of summer time and a leap day, beside leases, schedules, deadlines and kept states',
    budgetSeconds: 11,
    soakScale: 25,
  },
  {
    file: 'lanes/sizes',
    rows: ['R17'],
    does: 'payloads from nothing to beyond 16 MiB, 10,000 events in an append, a long log in 128 MiB, the end of the numbers; every store',
    budgetSeconds: 100,
    soakScale: 10,
  },
  {
    file: 'lanes/input',
    rows: ['R18'],
    does: '200,000 malformed inputs at every entry of the library, at import files, at stored bytes and at the command line',
    budgetSeconds: 160,
    soakScale: 100,
  },
  {
    file: 'lanes/unicode',
    rows: ['R19'],
    does: '20,000 texts of every kind in data, ids, names and filters, on seven stores',
    budgetSeconds: 66,
    soakScale: 50,
  },
  {
    file: 'lanes/simulation',
    rows: ['R20'],
    does: '2,000 seeds of the whole library on simulated machines with a fault model, in virtual time; 50 seeds twice',
    budgetSeconds: 85,
    soakScale: 250,
  },
  {
    file: 'lanes/migration-kill',
    rows: ['R21'],
    does: 'a migration of a SQLite file dies before every statement and after every system call, with and without the power; two programs at a time',
    budgetSeconds: 10,
    soakScale: 20,
  },
  {
    file: 'lanes/migration-kill-postgres',
    rows: ['R21'],
    does: 'a migration loses its connection before or in every statement; four programs at a time',
    budgetSeconds: 59,
    soakScale: 20,
  },
  {
    file: 'lanes/sqlite-many-processes',
    rows: ['R23'],
    does: '16 writers in 4 processes on one file for 60 s, beside a scan of 60 s and foreign read transactions; the log beside it stays below 64 MiB',
    budgetSeconds: 87,
    soakScale: 30,
  },
  {
    file: 'lanes/feeds',
    package: 'server',
    rows: ['R15'],
    does: '1,000 live feeds over HTTP for 60 s, ten of them stalled until they are cut off, and two of those go on behind what they took: memory grows by 64 MiB at most and 1 MiB for each stalled one, the others get everything in order and wait for nobody',
    budgetSeconds: 110,
    soakScale: 30,
  },
  {
    file: 'lanes/wire-input',
    package: 'server',
    rows: ['R18'],
    does: '12,000 malformed requests, bytes and messages of the Model Context Protocol for a server that listens: paths, queries, headers, bodies, JSON bombs, half a request',
    budgetSeconds: 44,
    soakScale: 100,
  },
]
