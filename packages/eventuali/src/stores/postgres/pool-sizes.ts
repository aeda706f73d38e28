import { InvalidArgumentError } from '../../model/index.ts'
import type { PoolLaneName } from '../../ports/index.ts'
import type { PoolSizes } from './connections.ts'

/**
 * How many connections the store may open. A number is that of the reads and of the transactions
 * each, with half as many for subscriptions. By name, any of them; appends need few, since
 * concurrent ones share a commit.
 */
export type PoolSize = number | Partial<Readonly<Record<PoolLaneName, number>>>

const sizesDefault = { reads: 8, subscriptions: 4, transactions: 6 }
const names: readonly string[] = ['appends', 'reads', 'subscriptions', 'transactions']

function assertCount(argument: string, value: unknown): void {
  if (Number.isSafeInteger(value) && (value as number) >= 1) return
  throw new InvalidArgumentError(argument, 'must be a whole number of 1 or more')
}

/** The sizes of all lanes. Throws InvalidArgumentError. */
export function poolSizes(
  options: {
    readonly poolSize?: PoolSize | undefined
    readonly acquireTimeoutMs?: number | undefined
  },
  limits: { readonly groupCountMax: number; readonly laneCountMax: number },
): PoolSizes {
  const { poolSize = {}, acquireTimeoutMs } = options
  if (acquireTimeoutMs !== undefined && !(acquireTimeoutMs > 0)) {
    throw new InvalidArgumentError('acquireTimeoutMs', 'must be a positive number of milliseconds')
  }
  // Each group and each append that waits for others has one; one more is for what they look up.
  const appends = limits.groupCountMax + limits.laneCountMax + 1
  if (typeof poolSize === 'number') {
    assertCount('poolSize', poolSize)
    const subscriptions = Math.ceil(poolSize / 2)
    const each = { reads: poolSize, transactions: poolSize }
    return { appends, subscriptions, ...each, acquireTimeoutMs }
  }
  if (typeof poolSize !== 'object' || poolSize === null) {
    throw new InvalidArgumentError('poolSize', 'must be a number or sizes by name')
  }
  const given = Object.entries(poolSize).filter(([, size]) => size !== undefined)
  for (const [name, size] of given) {
    if (!names.includes(name)) {
      throw new InvalidArgumentError(`poolSize.${name}`, `is none of ${names.join(', ')}`)
    }
    assertCount(`poolSize.${name}`, size)
  }
  return { appends, ...sizesDefault, ...Object.fromEntries(given), acquireTimeoutMs }
}
