import { type AssaultInput, assailAll } from '../harness/assault-program.ts'
import { programInput, runProgram } from '../harness/program.ts'
import { callTargets } from './input-calls.ts'
import { commandTargets } from './input-commands.ts'
import { eventTargets } from './input-events.ts'
import { fileTargets } from './input-files.ts'
import { planTargets } from './input-plans.ts'
import { plantedTargets } from './input-planted.ts'

/** A program that throws malformed input at everything; it may crash or hang alone. */
export interface InputProgramInput extends AssaultInput {
  readonly postgresUrl: string | undefined
}

const input = programInput<InputProgramInput>()
const { postgresUrl } = input

runProgram(() =>
  assailAll(
    input,
    [
      ...eventTargets(postgresUrl),
      ...callTargets(postgresUrl),
      ...fileTargets(),
      ...planTargets(),
      ...commandTargets(),
    ],
    plantedTargets(),
  ),
)
