/** Whether a stream takes events. */
export type StreamState = 'active' | 'archived' | 'deleted'

/** What a store knows of one stream. */
export interface StreamInfo {
  readonly stream: string
  readonly category: string
  /** Version of the newest event ever appended; never goes back. */
  readonly version: number
  /** Version of the oldest event still kept. */
  readonly firstVersion: number
  /** Events kept: `version - firstVersion + 1`. */
  readonly count: number
  readonly state: StreamState
  /** `time` of the oldest and newest kept event. */
  readonly firstTime: Date | undefined
  readonly lastTime: Date | undefined
}
