#!/usr/bin/env node
// The command line is a package of its own, so that a library user installs no argument parser.
try {
  const { main } = await import('@eventuali/cli')
  process.exitCode = await main(process.argv.slice(2), {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
  })
} catch (error) {
  if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error
  process.stderr.write(
    'eventuali: the command line is not there. Install it with "npm install @eventuali/cli" (in the workspace: "npm run build").\n',
  )
  process.exitCode = 1
}
