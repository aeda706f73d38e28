/** A mutant that nobody can notice: the changed program does the same. */
export interface Equivalent {
  readonly file: string
  readonly from: string
  readonly to: string
  readonly reason: string
}

export const equivalents: readonly Equivalent[] = []
