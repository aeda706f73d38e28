import { collection, defineAggregate, defineEvents, defineProjection, reject } from 'eventuali'
import { z } from 'zod'

const events = defineEvents({
  TaskAdded: z.object({ title: z.string().min(1).max(200), owner: z.string().min(1) }),
  TaskAssigned: z.object({ owner: z.string().min(1) }),
  TaskDone: z.object({}),
})

type TaskState = { status: 'new' | 'open' | 'done'; owner: string }

/** The side that decides. */
export const Task = defineAggregate('task', {
  events,
  initial: (): TaskState => ({ status: 'new', owner: '' }),
  evolve: {
    TaskAdded: (_state, { data }) => ({ status: 'open', owner: data.owner }),
    TaskAssigned: (state, { data }) => ({ ...state, owner: data.owner }),
    TaskDone: (state) => ({ ...state, status: 'done' }),
  },
  commands: {
    add: (state, input: { title: string; owner: string }) =>
      state.status === 'new' ? events.TaskAdded(input) : reject('the task exists already'),
    assign: (state, input: { owner: string }) =>
      state.status === 'open' ? events.TaskAssigned(input) : reject(`the task is ${state.status}`),
    finish: (state) =>
      state.status === 'open' ? events.TaskDone({}) : reject(`the task is ${state.status}`),
  },
})

export type TaskRow = { title: string; owner: string; done: boolean }

const none = { open: 0, done: 0 }

/** The side that is asked: one model for lists, another for a board of counts. */
export const board = defineProjection({
  name: 'board',
  version: 1,
  events: [events],
  collections: {
    tasks: collection<TaskRow>({ indexes: { owner: 'text' } }),
    owners: collection<typeof none>(),
  },
  handlers: {
    TaskAdded: async ({ stream, data }, ctx) => {
      await ctx.collection('tasks').put(stream, { ...data, done: false })
      await ctx.collection('owners').patch(data.owner, (was = none) => ({
        ...was,
        open: was.open + 1,
      }))
    },
    TaskAssigned: async ({ stream, data }, ctx) => {
      const task = await ctx.collection('tasks').get(stream)
      if (task === undefined) return
      await ctx.collection('tasks').put(stream, { ...task, owner: data.owner })
      await ctx.collection('owners').patch(task.owner, (was = none) => ({
        ...was,
        open: was.open - 1,
      }))
      await ctx.collection('owners').patch(data.owner, (was = none) => ({
        ...was,
        open: was.open + 1,
      }))
    },
    TaskDone: async ({ stream }, ctx) => {
      const task = await ctx.collection('tasks').get(stream)
      if (task === undefined) return
      await ctx.collection('tasks').put(stream, { ...task, done: true })
      await ctx.collection('owners').patch(task.owner, (was = none) => ({
        open: was.open - 1,
        done: was.done + 1,
      }))
    },
  },
})
