import { expect, it } from 'vitest'
import { registeredProjections } from './registered.ts'
import { append, carriersProjection, Program, sales, shipped } from './shop.test-support.ts'
import { describeStores } from './stores.test-support.ts'

describeStores('what a store knows of projections', ({ open }) => {
  it('is told by name, whether or not this program defines them', async () => {
    const port = await open()
    expect(await registeredProjections({ port })).toEqual([])
    const position = await append(port, 'order-1', shipped())
    const carriers = carriersProjection({ mode: 'inline' })
    {
      await using program = new Program(port, [carriers, sales])
      await program.projections.start()
      await program.projections.projected('sales', position, { timeoutMs: 10_000 })
      await program.projections.pause('sales')
    }
    expect(await registeredProjections({ port })).toMatchObject([
      {
        ...{ name: 'carriers', subscription: undefined, paused: false, builds: [] },
        live: { generation: 1, version: 1, mode: 'inline' },
      },
      {
        ...{ name: 'sales', subscription: 'projection:sales/g1', paused: true, builds: [] },
        live: { generation: 1, version: 1, mode: 'async' },
        generations: [{ generation: 1, status: 'live' }],
      },
    ])
  })

  it('has the builds that were given up, with the reason', async () => {
    const port = await open()
    await append(port, 'order-1', shipped())
    const failing = carriersProjection({ name: 'failing' })
    const handlers = {
      OrderShipped: () => {
        throw new Error('cannot cope')
      },
    }
    await using program = new Program(port, [{ ...failing, handlers } as never])
    await expect(program.projections.rebuild('failing')).rejects.toMatchObject({
      code: 'PROJECTION_BUILD_FAILED',
    })
    const [found] = await registeredProjections({ port })
    expect(found).toMatchObject({ name: 'failing', live: undefined, subscription: undefined })
    expect(found?.builds).toMatchObject([
      { generation: 1, position: 0, failed: expect.stringContaining('cannot cope') },
    ])
  })
})
