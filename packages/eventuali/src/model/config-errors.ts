import { type ErrorOptionsWithCause, EventualiError } from '../kernel/index.ts'

/** One setting that cannot be meant. */
export interface ConfigProblem {
  /** The setting with dots: `server.port`. */
  readonly key: string
  /** What is wrong, and what it may be. */
  readonly what: string
  /** Where it was said: a file, an environment variable, a flag. */
  readonly where: string
}

/** Settings that are not known or of the wrong type; all of them, each with its key and place. */
export class ConfigInvalidError extends EventualiError {
  readonly code = 'CONFIG_INVALID'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    super(
      `the configuration is not valid:\n${problems
        .map(({ key, what, where }) => `  ${key} ${what} (${where})`)
        .join('\n')}`,
    )
    this.problems = problems
  }
}

/** The configuration file is not there, or cannot be loaded. */
export class ConfigFileError extends EventualiError {
  readonly code = 'CONFIG_FILE'
  readonly file: string

  constructor(file: string, what: string, options?: ErrorOptionsWithCause) {
    super(`the configuration ${file} ${what}`, options)
    this.file = file
  }
}

/** What a secret of the configuration refers to is not there. */
export class SecretMissingError extends EventualiError {
  readonly code = 'SECRET_MISSING'
  /** The setting that needs it. */
  readonly key: string
  /** The reference: `env:DB_PASSWORD`, `file:/run/secrets/db`. */
  readonly reference: string

  constructor(key: string, reference: string, what: string, options?: ErrorOptionsWithCause) {
    super(`the secret ${reference} of ${key} ${what}`, options)
    this.key = key
    this.reference = reference
  }
}
