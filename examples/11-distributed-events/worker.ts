// One of several programs that share the work: node worker.ts STORE NAME
import { openStore } from 'eventuali'

const [url = '', name = ''] = process.argv.slice(2)

// A program that dies is followed after this time; ten seconds when left out.
const store = await openStore(url, { leaseTtlMs: 1000 })

store.subscribe(
  {
    name: 'invoicing',
    types: ['ParcelDelivered'],
    // Sixteen shares of the work; the parcels of one customer stay in order.
    group: { partitions: 16, by: { tag: 'customer' } },
    // The effect and the checkpoint are one transaction: exactly once, whoever dies.
    transactional: true,
    pollIntervalMs: 100,
  },
  {
    maxBatch: 10,
    batch: async (events, { tx }) => {
      for (const { stream, data, tags } of events) {
        const { cents } = data as { cents: number }
        const customer = tags[0]?.slice('customer:'.length)
        await tx?.append(`invoice-${customer}`, {
          type: 'Invoiced',
          data: { parcel: stream, cents },
          metadata: { actor: name },
        })
      }
      // So that the others get their share, and there is something left when one is killed.
      await new Promise((resolve) => setTimeout(resolve, 40))
    },
  },
)

// The parent asks to stop, or is gone.
process.on('disconnect', () => void store.close().then(() => process.exit(0)))
