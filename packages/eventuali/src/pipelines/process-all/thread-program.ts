import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { begin, type FromThread, importWork, type ThreadJob, type ToThread } from './work.ts'

/** Works on what it is told, one after another. */
async function runThread(port: MessagePort, job: ThreadJob): Promise<void> {
  const { module, before, ...context } = job
  const say = (message: FromThread): void => port.postMessage(message)
  const fail = (error: unknown): void => {
    try {
      say({ is: 'failed', error })
    } catch {
      // What cannot be copied to another thread is said in words.
      say({ is: 'failed', error: new Error(String((error as Error)?.stack ?? error)) })
    }
  }
  const started = importWork(module).then((work) =>
    begin(work, { ...context, signal: undefined }, before),
  )
  started.catch(() => {})
  let last: Promise<unknown> = started
  port.on('message', (message: ToThread) => {
    last = last
      .then(async () => {
        const worked = await started
        if ('asks' in message) say({ is: 'state', state: worked.state() })
        else {
          await worked.take(message.events)
          say({ is: 'done' })
        }
      })
      .catch(fail)
  })
}

if (parentPort !== null) void runThread(parentPort, workerData as ThreadJob)
