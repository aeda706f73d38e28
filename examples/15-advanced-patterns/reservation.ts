import { defineAggregate, defineEvents, defineProcess, reject, type } from 'eventuali'

export const tables = defineEvents({
  TableHeld: type<{ table: string; guest: string }>(),
  TableConfirmed: type<{ table: string; guest: string }>(),
  TableReleased: type<{ table: string; guest: string; why: string }>(),
})

type TableState = { status: 'free' | 'held' | 'confirmed'; guest: string }

/** A reservation in two steps: hold it, then confirm it, or lose it. */
export const Table = defineAggregate('table', {
  events: tables,
  initial: (): TableState => ({ status: 'free', guest: '' }),
  evolve: {
    TableHeld: (_state, { data }) => ({ status: 'held', guest: data.guest }),
    TableConfirmed: (state) => ({ ...state, status: 'confirmed' }),
    TableReleased: () => ({ status: 'free', guest: '' }),
  },
  commands: {
    hold: (state, input: { table: string; guest: string }) =>
      state.status === 'free' ? tables.TableHeld(input) : reject(`the table is ${state.status}`),
    confirm: (state, input: { table: string; guest: string }) =>
      state.status === 'held' && state.guest === input.guest
        ? tables.TableConfirmed(input)
        : reject('the table is not held for you'),
    // Nothing to do is no error: the deadline may come when the guest has just confirmed.
    release: (state, input: { table: string; guest: string; why: string }) =>
      state.status === 'held' && state.guest === input.guest
        ? tables.TableReleased(input)
        : undefined,
  },
})

/** A process manager: watches what happens and sends commands. Here it lets holds run out. */
export const holds = defineProcess({
  name: 'holds',
  events: [tables],
  aggregates: [Table],
  correlate: ({ data }) => `${data.table}/${data.guest}`,
  starts: ['TableHeld'],
  initial: (): { table: string; guest: string } => ({ table: '', guest: '' }),
  on: {
    TableHeld: (_state, { data }, ctx) => {
      ctx.after('10 minutes', 'runsOut')
      return { table: data.table, guest: data.guest }
    },
    TableConfirmed: (_state, _event, ctx) => ctx.complete(),
    TableReleased: (_state, _event, ctx) => ctx.complete(),
  },
  deadlines: { runsOut: type<null>() },
  onDeadline: {
    runsOut: (state, _deadline, ctx) => {
      ctx.command(Table, state.table, 'release', { ...state, why: 'held for ten minutes' })
    },
  },
})
