import { createHmac } from 'node:crypto'
import { InvalidArgumentError } from 'eventuali'

const SECRET_BYTES_MIN = 24
const SECRET_BYTES_MAX = 64
const PREFIX = 'whsec_'

/** The bytes of a secret as Standard Webhooks write it. Throws InvalidArgumentError. */
function bytesOf(secret: string): Buffer {
  const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : ''
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length >= SECRET_BYTES_MIN && bytes.length <= SECRET_BYTES_MAX) return bytes
  throw new InvalidArgumentError(
    'secrets',
    `must be ${PREFIX} and ${SECRET_BYTES_MIN} to ${SECRET_BYTES_MAX} random bytes in base64`,
  )
}

/** Signs what is sent, with each secret: while one takes the place of another, both hold. */
export type Signer = (body: string, message: { id: string; seconds: number }) => string

/** The signer of these secrets. Throws InvalidArgumentError. */
export function signerOf(secrets: readonly string[]): Signer {
  if (secrets.length === 0) throw new InvalidArgumentError('secrets', 'are none')
  const keys = secrets.map(bytesOf)
  return (body, { id, seconds }) =>
    keys
      .map((key) => createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64'))
      .map((signature) => `v1,${signature}`)
      .join(' ')
}
