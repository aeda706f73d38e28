import { setTimeout } from 'node:timers/promises'
import { loadConfig } from 'eventuali'

/**
 * Keeps the read model of a configuration and sends a mail for each order. In production it goes on
 * until SIGTERM; here it ends when nothing is left to do.
 */
export async function work(file: string, mail: (address: string) => string): Promise<void> {
  const config = await loadConfig({ file })
  await using store = await config.open()
  await store.projections.start()
  const retry = { retryCountMax: 1, firstDelayMs: 10 }
  const options = { name: 'mailer', types: ['OrderPlaced'], retry, onPoison: 'park' } as const
  const mailer = store.subscribe(options, ({ data }) => {
    console.log(`a mail to ${mail((data as { customer: string }).customer)}`)
  })
  const { newest } = await store.positions()
  for (const { name } of config.projections) await store.projected(name, newest)
  await mailer.reached(newest)
  // Letters that somebody wants to be handled again are, too.
  while ((await store.deadLetters.list({ state: 'requested' })).length > 0) await setTimeout(50)
}
