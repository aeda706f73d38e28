/** Why one must come before another. */
export type EdgeKind = 'ww' | 'wr' | 'rw' | 'time'

/** A dependency between two nodes of a graph. */
export interface Edge {
  readonly from: number
  readonly to: number
  readonly kind: EdgeKind
  readonly stream: string
}

/** A cycle of the graph, as short as one through its first node can be; undefined without any. */
export function cycleIn(edges: readonly Edge[]): readonly Edge[] | undefined {
  const out = new Map<number, Edge[]>()
  const incoming = new Map<number, number>()
  for (const edge of edges) {
    const list = out.get(edge.from)
    if (list === undefined) out.set(edge.from, [edge])
    else list.push(edge)
    incoming.set(edge.to, (incoming.get(edge.to) ?? 0) + 1)
  }
  // What nothing comes before cannot be in a cycle; taken away again and again, cycles are left.
  const free = [...out.keys()].filter((node) => !incoming.has(node))
  for (let node = free.pop(); node !== undefined; node = free.pop()) {
    for (const { to } of out.get(node) ?? []) {
      const left = (incoming.get(to) as number) - 1
      incoming.set(to, left)
      if (left === 0) {
        incoming.delete(to)
        free.push(to)
      }
    }
    out.delete(node)
  }
  for (const start of incoming.keys()) {
    const cycle = shortestBack(start, out)
    if (cycle !== undefined) return cycle
  }
  return undefined
}

function shortestBack(start: number, out: ReadonlyMap<number, readonly Edge[]>) {
  const reachedBy = new Map<number, Edge>()
  const queue = [start]
  for (let next = 0; next < queue.length; next++) {
    for (const edge of out.get(queue[next] as number) ?? []) {
      if (reachedBy.has(edge.to)) continue
      reachedBy.set(edge.to, edge)
      if (edge.to === start) return pathTo(start, reachedBy)
      queue.push(edge.to)
    }
  }
  return undefined
}

function pathTo(start: number, reachedBy: ReadonlyMap<number, Edge>): readonly Edge[] {
  const path: Edge[] = []
  let at = start
  do {
    const edge = reachedBy.get(at) as Edge
    path.unshift(edge)
    at = edge.from
  } while (at !== start)
  return path
}
