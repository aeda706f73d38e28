import { refusalText } from './tool.ts'

/** An error of the protocol, which the SDK tells a client by its code and message. */
export class ProtocolError extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** The address names nothing that there is. */
export const invalidParams = (message: string): ProtocolError => new ProtocolError(-32602, message)

/** What stands in a part of an address. Throws ProtocolError where it is none. */
export function variableOf(part: string | readonly string[] | undefined): string {
  try {
    return decodeURIComponent(String(part))
  } catch {
    throw invalidParams(`the address has a broken escape: ${part}`)
  }
}

/** What an error of the store is to a client: as tools tell it. */
export async function told<T>(result: Promise<T>): Promise<T> {
  try {
    return await result
  } catch (error) {
    if (error instanceof ProtocolError) throw error
    throw new ProtocolError(-32603, refusalText(error))
  }
}
