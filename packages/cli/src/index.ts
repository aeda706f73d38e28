/**
 * The command line, for programs that run it in their own process.
 *
 * @module \@eventuali/cli
 */

export type { Io } from './io.ts'
export { main } from './main.ts'
