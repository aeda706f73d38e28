/** How a command can end. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  interrupted: 130,
} as const

/** Thrown for arguments that cannot be what was meant; ends with exit code 2. */
export class UsageError extends Error {}

/** Thrown for what cannot be done, with what to do about it; ends with exit code 1. */
export class Refused extends Error {}

/** Thrown after a command has said itself what is wrong; ends with exit code 1. */
export class SilentFailure extends Error {}

/** Thrown after a command has said everything itself; ends with a code of its own. */
export class EndedWith extends Error {
  readonly code: number

  constructor(code: number) {
    super(`ended with ${code}`)
    this.code = code
  }
}

/** The user pressed Ctrl-C. */
export class Interrupted extends Error {
  constructor() {
    // It is kept where a job says why it was given up.
    super('interrupted by Ctrl-C')
  }
}

/** Said at the end of every --help. */
export const exitCodeHelp = `
Exit codes:
  0    done
  1    refused or failed; the reason is on standard error
  2    wrong usage
  130  interrupted (Ctrl-C)
`

/** What is said instead of it by commands whose codes mean something else. */
export const ownExitCodes: WeakMap<object, string> = new WeakMap()
