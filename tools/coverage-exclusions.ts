/** Branches that no test takes, and why that is right. */
export interface Exclusion {
  readonly file: string
  /** Stands once in the file; the branches that begin on its lines are left out when not taken. */
  readonly code: string
  readonly reason: string
}

export const exclusions: readonly Exclusion[] = []
