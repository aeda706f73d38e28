/** One harness of the scorecard: a test file that runs real processes, or a great many cases. */
export interface Lane {
  /** Its file below this folder, without `.test.ts`. Lanes in `process/` run alone. */
  readonly file: string
  /** Rows of the scorecard that it shows, unless a campaign names its own. */
  readonly rows: readonly string[]
  readonly does: string
  /** What a run in a pull request may take on two cores, in seconds. */
  readonly budgetSeconds: number
  /** How many times as much a soak does. */
  readonly soakScale: number
  /** Part of `npm test`, too, since it takes little time. */
  readonly quick?: true
}

/** Every harness in `lanes/` and `process/`; a check compares it with the folders. */
export const laneTable: readonly Lane[] = [
  {
    file: 'lanes/sqlite-kill',
    rows: ['R1'],
    does: '100 times SIGKILL to two processes with four writers, batches of 1 to 100; what was acknowledged is kept outside',
    budgetSeconds: 85,
    soakScale: 20,
  },
  {
    file: 'lanes/sqlite-power-loss',
    rows: ['R2'],
    does: 'records every write and sync with strace, cuts the power in 2,000 places: unsynced writes lost, in part, torn at 512 bytes; the relaxed profile must lose some; one sync for 32 callers, counted',
    budgetSeconds: 20,
    soakScale: 25,
    quick: true,
  },
  {
    file: 'process/shared-stream',
    rows: ['R6', 'R23'],
    does: '16 clients in 4 processes on one stream, SQLite and Postgres; event loop delay; 16 writers beside a long reader',
    budgetSeconds: 25,
    soakScale: 30,
  },
  {
    file: 'process/delivery',
    rows: ['R8'],
    does: 'from append to a handler in another process; CPU of a subscription at rest',
    budgetSeconds: 35,
    soakScale: 10,
  },
  {
    file: 'lanes/schedules',
    rows: ['R8a'],
    does: '2,000 of the 13,440 orders of three transactions, with a reader after each step',
    budgetSeconds: 55,
    soakScale: 6.72,
  },
  {
    file: 'process/race',
    rows: ['R8b'],
    does: "50,000 events of 16 writers that delay, write elsewhere and roll back; 4 followers, 3 filtered readers, 4 durable subscribers and a group of 4 workers, all with restarts; the same order for each of them, for readAll, for a projection's build and its rebuild",
    budgetSeconds: 45,
    soakScale: 100,
  },
  {
    file: 'lanes/conditions',
    rows: ['R6'],
    does: '16 racers for one condition, 1,000 rounds on every store; one of them plain; above an open position',
    budgetSeconds: 85,
    soakScale: 20,
  },
  {
    file: 'lanes/postgres-faults',
    rows: ['R7', 'R10', 'R12'],
    does: '20 crashes; 100 network faults, 40 more behind PgBouncer; 500 cut replies and retries with the same id',
    budgetSeconds: 125,
    soakScale: 25,
  },
  {
    file: 'lanes/positions-once',
    rows: ['R22'],
    does: 'delete and truncate the newest, then VACUUM, copy, dump and restore: numbers go on',
    budgetSeconds: 7,
    soakScale: 10,
    quick: true,
  },
  {
    file: 'lanes/close-while-listening',
    rows: ['R8'],
    does: 'closes a store at every moment of its connecting to listen',
    budgetSeconds: 2,
    soakScale: 10,
    quick: true,
  },
  {
    file: 'process/pooled-writers',
    rows: ['R12'],
    does: 'four writer processes behind PgBouncer, with and without listeners',
    budgetSeconds: 30,
    soakScale: 10,
  },
  {
    file: 'lanes/group-churn',
    rows: ['R8', 'R16'],
    does: '8 workers of a consumer group that come, leave and die for 60 s beside a ledger of what was handled; SQLite and Postgres',
    budgetSeconds: 85,
    soakScale: 30,
  },
  {
    file: 'process/hand-over',
    rows: ['R8', 'R16'],
    does: 'how soon the partitions of a killed worker of a consumer group are taken over; SQLite and Postgres',
    budgetSeconds: 50,
    soakScale: 10,
  },
  {
    file: 'lanes/projection-kill',
    rows: ['R9'],
    does: '500 times SIGKILL to a projection, before and after ten calls of the store; compared with the log and with a clean rebuild',
    budgetSeconds: 210,
    soakScale: 20,
  },
  {
    file: 'lanes/rebuild',
    rows: ['R9'],
    does: 'rebuilds of the flights, documents and an SQL table, while another process appends: a reader with a connection of its own never sees less than before, nor half of it; SQLite and Postgres',
    budgetSeconds: 30,
    soakScale: 20,
  },
  {
    file: 'lanes/process-kill',
    rows: ['R9'],
    does: '60 times SIGKILL to a worker of processes and an outbox, before and after nine calls; every cause has each effect once, deadlines too, messages keep their ids; SQLite and Postgres',
    budgetSeconds: 120,
    soakScale: 20,
  },
  {
    file: 'lanes/recode-kill',
    rows: ['R21'],
    does: '16 times SIGKILL to a recoding, before, in and after its transactions, beside a writer; four codecs; SQLite and Postgres',
    budgetSeconds: 50,
    soakScale: 20,
  },
  {
    file: 'lanes/fork-kill',
    rows: ['R22'],
    does: '28 forks of 12,000 events in programs that are killed, at a part of the copy or at any moment: complete or not there, the name free again; SQLite and Postgres',
    budgetSeconds: 25,
    soakScale: 20,
  },
  {
    file: 'lanes/snapshot-kill',
    rows: ['R1', 'R10'],
    does: "24 times SIGKILL to commands that keep states, after an append and before its state, in the state's transaction and after it; loads against refolds; SQLite and Postgres",
    budgetSeconds: 15,
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
    file: 'process/slow-consumer',
    rows: ['R15'],
    does: 'consumers that handle a batch in 250 ms over a backlog of 203,160 events, 150 MiB of it large ones, and a producer at full speed: what they hold and their resident memory grow by 64 MiB at most; ephemeral, durable, group and loop, SQLite and Postgres',
    budgetSeconds: 85,
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
    file: 'process/small-memory',
    rows: ['R17'],
    does: 'the January log with 128 MiB for the heap',
    budgetSeconds: 20,
    soakScale: 1,
    quick: true,
  },
]
