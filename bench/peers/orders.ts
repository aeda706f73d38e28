import type { BenchEvent } from '../workload.ts'

/** Streams that appends go to, round and round: more than callers, so that they can be apart. */
export const peerStreamCount = 300

/** The streams that a log begins with. */
export interface Fill {
  readonly streams: number
  readonly perStream: number
  /** Streams of so many events each, named `load-` and the number. */
  readonly loads: readonly number[]
}

/** How a consumer is run over the log. */
export interface Consume {
  /** A handler that does nothing, or a document for each customer. */
  readonly work: 'pass' | 'project'
  readonly upTo: number
  readonly batchSize: number
  readonly pullMs: number
}

/** What a peer is asked, one line of JSON for each turn. */
export type PeerOrder =
  | {
      readonly do: 'open'
      readonly url: string
      readonly events: readonly BenchEvent[]
      /** At most so many at a server. */
      readonly connections: number
    }
  | ({ readonly do: 'fill' } & Fill)
  | {
      readonly do: 'append'
      readonly calls: number
      readonly size: number
      readonly callers: number
      /** All callers at the same stream. */
      readonly hot: boolean
    }
  | { readonly do: 'load'; readonly calls: number; readonly count: number }
  | { readonly do: 'scan'; readonly calls: number; readonly count: number }
  | ({ readonly do: 'consume'; readonly calls: number } & Consume)
  | { readonly do: 'condition'; readonly calls: number; readonly callers: number }
  | { readonly do: 'settings' }

/** What it answers, one line too. */
export interface PeerAnswer {
  readonly ok?: number | string
  readonly error?: string
}

/** What a peer can be asked for beside `open`, `fill` and `settings`. */
export type PeerPower = 'append' | 'load' | 'scan' | 'pass' | 'project' | 'condition'

export function eventsIn({ streams, perStream, loads }: Fill): number {
  return streams * perStream + loads.reduce((sum, count) => sum + count, 0)
}
