import { Failure } from './failure.ts'

/** The media type of a header, without its parameters. */
function mediaTypeOf(headers: Headers): string | undefined {
  return headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
}

async function textOf(request: Request, bytesMax: number): Promise<string> {
  const tooLarge = () =>
    new Failure('BODY_TOO_LARGE', `the body has more than ${bytesMax} bytes; send less at once`)
  const length = Number(request.headers.get('content-length') ?? 0)
  if (length > bytesMax) throw tooLarge()
  if (request.body === null) return ''
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let bytes = 0
  let text = ''
  try {
    for await (const chunk of request.body as ReadableStream<Uint8Array>) {
      bytes += chunk.byteLength
      if (bytes > bytesMax) throw tooLarge()
      text += decoder.decode(chunk, { stream: true })
    }
    return text + decoder.decode()
  } catch (cause) {
    if (cause instanceof Failure) throw cause
    throw new Failure('REQUEST_MALFORMED', 'the body is not complete, or is no UTF-8', { cause })
  }
}

/** A body that was read, and what it was said to be. */
export interface ReadBody {
  readonly mediaType: string
  readonly value: unknown
}

/**
 * Reads a body of JSON of one of these media types; the first is meant where none is said.
 * Throws Failure MEDIA_TYPE_UNSUPPORTED, BODY_TOO_LARGE, REQUEST_MALFORMED.
 */
export async function readJson(
  request: Request,
  mediaTypes: readonly string[],
  bytesMax: number,
): Promise<ReadBody> {
  const mediaType = mediaTypeOf(request.headers) ?? (mediaTypes[0] as string)
  if (!mediaTypes.includes(mediaType)) {
    throw new Failure('MEDIA_TYPE_UNSUPPORTED', `send ${mediaTypes.join(' or ')}`, {
      headers: { accept: mediaTypes.join(', ') },
    })
  }
  const text = await textOf(request, bytesMax)
  if (text.trim() === '') return { mediaType, value: undefined }
  try {
    return { mediaType, value: JSON.parse(text) }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.slice(0, 200) : ''
    throw new Failure('REQUEST_MALFORMED', `the body is no JSON: ${why}`, { cause })
  }
}
