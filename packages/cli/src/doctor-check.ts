/** What was looked at, and how it is. */
export interface Check {
  /** What was looked at: `node`, `store audit`. */
  readonly name: string
  /** `problem`: something fails or is lost. `warning`: it may. `skipped`: nothing to look at. */
  readonly state: 'ok' | 'warning' | 'problem' | 'skipped'
  /** What was found. */
  readonly found: string
  /** What to do about it. */
  readonly advice?: string
}

export const ok = (name: string, found: string): Check => ({ name, state: 'ok', found })
export const skipped = (name: string, found: string): Check => ({ name, state: 'skipped', found })
export const warning = (name: string, found: string, advice: string): Check => ({
  name,
  state: 'warning',
  ...{ found, advice },
})
export const problem = (name: string, found: string, advice: string): Check => ({
  name,
  state: 'problem',
  ...{ found, advice },
})

/** The message of an error, or whatever was thrown. */
export const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)
