import { createServer } from '@eventuali/server'
import { openStore } from 'eventuali'
import { expect, test } from 'vitest'
import { commandReference } from './command-reference.ts'
import { sampleRequests } from './http-reference.ts'
import { referenceFaults } from './reference.ts'

test('the committed pages are what the code says', async () => {
  expect(await referenceFaults()).toEqual([])
})

test('a command below a command is there with its options and its example', () => {
  const page = commandReference()
  expect(page).toContain('### subscriptions pause')
  expect(page).toContain('eventuali subscriptions pause mailer --reason "moving"')
  expect(page).toContain('In the guide: [recode](../guide/command-line.md#recode)')
})

test('no request that the page shows is one that the server cannot read', async () => {
  await using store = await openStore('memory:', { snapshots: {} })
  const server = createServer(store, { auth: { anonymous: 'admin' } })
  const requests = await sampleRequests()
  expect(requests.length).toBeGreaterThan(20)
  for (const request of requests) {
    const { status, body } = await server.fetch(request)
    await body?.cancel()
    const shown = `${request.method} ${request.url} ${status}`
    expect(shown).not.toMatch(/ (400|401|403|405|415|422|500)$/)
  }
  await server.close()
})
