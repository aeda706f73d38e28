import { type AssaultInput, assailAll } from '../../../eventuali/test/harness/assault-program.ts'
import { programInput, runProgram } from '../../../eventuali/test/harness/program.ts'
import { httpTargets, requestAttack } from './wire-http.ts'
import { mcpAttack, mcpTargets } from './wire-mcp.ts'
import { type WireBug, wireBugs } from './wire-planted.ts'

// A program that throws malformed input at a server of its own; it may crash or hang alone.
runProgram(() =>
  assailAll(
    programInput<AssaultInput>(),
    [...httpTargets(), ...mcpTargets()],
    (Object.keys(wireBugs) as WireBug[]).map((name) => ({
      ...{ name, cases: 5000 },
      open: name === 'trusts arguments' ? mcpAttack(name) : requestAttack(name, 2000),
    })),
  ),
)
