import { defineAggregate, defineEvents, reject, type } from 'eventuali'

export const events = defineEvents({
  MeterInstalled: type<{ at: string; serial: string }>(),
  Read: type<{ at: string; wattHours: number }>(),
})

type MeterState = {
  serial: string
  lastRead: Date
  wattHours: number
  /** Watt-hours by month; what makes the state worth keeping. */
  months: Record<string, number>
}

const initial = (): MeterState => ({ serial: '', lastRead: new Date(0), wattHours: 0, months: {} })

const addTo = (months: Record<string, number>, at: string, wattHours: number) => {
  const month = at.slice(0, 7)
  return { ...months, [month]: (months[month] ?? 0) + wattHours }
}

const commands = {
  read: (state: MeterState, input: { at: string; wattHours: number }) =>
    new Date(input.at) <= state.lastRead
      ? reject('a reading from before the last one', { last: state.lastRead.toISOString() })
      : events.Read(input),
}

// JSON has no dates: the definition says how its state is kept, and how it comes back.
const snapshot = {
  encode: (state: MeterState) => ({ ...state, lastRead: state.lastRead.toISOString() }),
  decode: (stored: unknown): MeterState => {
    const kept = stored as Omit<MeterState, 'lastRead'> & { lastRead: string }
    return { ...kept, lastRead: new Date(kept.lastRead) }
  },
}

const evolve = {
  MeterInstalled: (state: MeterState, { data }: { data: { at: string; serial: string } }) => ({
    ...state,
    serial: data.serial,
    lastRead: new Date(data.at),
  }),
  Read: (state: MeterState, { data }: { data: { at: string; wattHours: number } }) => ({
    ...state,
    lastRead: new Date(data.at),
    wattHours: state.wattHours + data.wattHours,
    months: addTo(state.months, data.at, data.wattHours),
  }),
}

/** An electricity meter that is read every quarter of an hour, for years. */
export const Meter = defineAggregate('meter', { events, initial, snapshot, commands, evolve })

/**
 * The same after a deployment: the sums of months are kilowatt-hours now. Kept states of the old
 * code are no use.
 */
export const MeterInKilowattHours = defineAggregate('meter', {
  ...{ events, initial, snapshot, commands },
  evolve: {
    ...evolve,
    Read: (state, { data }) => ({
      ...evolve.Read(state, { data }),
      months: addTo(state.months, data.at, data.wattHours / 1000),
    }),
  },
})
