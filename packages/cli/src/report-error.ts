import { isEventualiError } from 'eventuali'

/** One error as people read it: its code, what is wrong and what to do; never a stack. */
export function errorText(error: unknown): string {
  if (isEventualiError(error)) return `eventuali: ${error.code}: ${error.message}`
  if (error instanceof Error) {
    const code = (error as { readonly code?: unknown }).code
    const named = typeof code === 'string' ? `${code}: ` : ''
    return `eventuali: ${named}${error.message}; run it with --debug for where it comes from`
  }
  return `eventuali: ${String(error)}`
}

/** The error with its stack and its causes, for --debug. */
export function debugText(error: unknown): string {
  const lines: string[] = []
  for (let at = error, depth = 0; at instanceof Error && depth < 10; depth++) {
    lines.push(`${depth === 0 ? '' : 'caused by: '}${at.stack ?? at.message}`)
    at = at.cause
  }
  return lines.join('\n')
}
