/**
 * How many partitions a member should own: shares differ by one at most and their sum is the
 * number of partitions, as long as all members see the same list.
 */
export function fairShare(partitions: number, members: readonly string[], self: string): number {
  const rank = members.indexOf(self)
  if (rank === -1) return 0
  const least = Math.floor(partitions / members.length)
  return least + (rank < partitions % members.length ? 1 : 0)
}

/** A partition as the assignment sees it. */
export interface Assignable {
  readonly partition: number
  /** Held by this member. */
  readonly own: boolean
  /** Nobody alive holds it and it may be taken. */
  readonly free: boolean
}

/** What one member should take and give back now. */
export interface Plan {
  readonly claim: readonly number[]
  readonly release: readonly number[]
}

/**
 * Members begin to take at different places, so that they seldom want the same partition; whoever
 * has too much gives back the last of it. A function of what was seen, the same for everyone.
 */
export function planPartitions(
  partitions: readonly Assignable[],
  members: readonly string[],
  self: string,
): Plan {
  const share = fairShare(partitions.length, members, self)
  const own = partitions.filter((partition) => partition.own)
  if (own.length >= share) {
    return { claim: [], release: own.slice(share).map(({ partition }) => partition) }
  }
  const rank = Math.max(0, members.indexOf(self))
  const start = Math.floor((rank * partitions.length) / Math.max(1, members.length))
  const claim = [...partitions.slice(start), ...partitions.slice(0, start)]
    .filter(({ free }) => free)
    .slice(0, share - own.length)
    .map(({ partition }) => partition)
  return { claim, release: [] }
}
