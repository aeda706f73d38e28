import { openStore } from 'eventuali'
import { expect, it } from 'vitest'
import { serve } from '../src/index.ts'
import { events, Order, orders } from '../src/server.test-support.ts'
import { runSchemathesis, schemathesisSkipReason } from './schemathesis.ts'

const reason = schemathesisSkipReason()
const checks =
  'not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance'

it('the document tells what the server does', async (context) => {
  if (reason !== undefined) context.skip(reason)
  const store = await openStore('memory:', {
    // What comes in of these types is checked: folds of what does not fit would fail.
    ...{ events: [events], unknown: 'allow' as const },
    ...{ projections: [orders], snapshots: {} },
  })
  await store.projections.start()
  const { position } = await store
    .aggregate(Order)
    .execute('42', 'place', { customer: 'ada', total: 30 })
  await store.projected('orders', position ?? 0, { timeoutMs: 10_000 })
  const mailer = store.subscribe({ name: 'mailer', after: 0 }, () => {})
  const faults: unknown[] = []
  const running = await serve(store, {
    ...{ port: 0, aggregates: [Order], projections: [orders as never] },
    limits: { rate: false },
    onError: (error) => faults.push(error),
  })
  try {
    const { code, out } = await runSchemathesis([
      `${running.url}/openapi.json`,
      ...['--url', running.url, '--checks', checks, '--phases', 'examples,coverage,fuzzing'],
      // A feed does not end, so nobody could say what it has answered.
      ...['--exclude-path-regex', 'feed$', '--max-examples', '6', '--max-time', '40'],
      ...['--seed', '7', '--request-timeout', '10', '--warnings', 'off'],
    ])
    expect(faults).toEqual([])
    expect(code, out.slice(-6000)).toBe(0)
    expect(out).toMatch(/(\d{3,}) generated, \1 passed/)
  } finally {
    await mailer.stop()
    await running.close()
    await store.close()
  }
}, 180_000)
