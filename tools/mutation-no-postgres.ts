/** In the place of the tests' PostgreSQL server: mutants are tried on the stores without one. */
export function postgresSkipReason(): string {
  return 'mutants are tried without a server'
}

export async function startPostgres(): Promise<never> {
  throw new Error(postgresSkipReason())
}
