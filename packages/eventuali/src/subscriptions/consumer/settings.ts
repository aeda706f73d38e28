import { InvalidArgumentError } from '../../model/index.ts'
import type { ConsumerOptions } from '../consumer-options.ts'
import { assertPartitionCount, assertSubscriptionName } from '../ledger/values.ts'

function assertPositive(name: string, value: number | undefined): void {
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) {
    throw new InvalidArgumentError(name, 'must be a positive integer')
  }
}

/** Throws InvalidArgumentError at the first option that makes no sense. */
export function assertConsumerOptions(options: ConsumerOptions): void {
  const { name, after, partitions, onPoison } = options
  assertSubscriptionName(name)
  assertPartitionCount(partitions)
  if (after !== 'end' && !(Number.isSafeInteger(after) && after >= 0)) {
    throw new InvalidArgumentError('after', "must be a position (0 or a positive integer) or 'end'")
  }
  if (!['park-key', 'park', 'stop'].includes(onPoison)) {
    throw new InvalidArgumentError('onPoison', "must be 'park-key', 'park' or 'stop'")
  }
  assertPositive('maxBatch', options.maxBatch)
  assertPositive('concurrency', options.concurrency)
  assertPositive('pollIntervalMs', options.pollIntervalMs)
  assertPositive('timeoutMs', options.timeoutMs)
  assertPositive('checkpointIntervalMs', options.checkpointIntervalMs)
  assertPositive('bufferCountMax', options.bufferCountMax)
  assertPositive('bufferBytesMax', options.bufferBytesMax)
}
