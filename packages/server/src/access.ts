import { createHash, timingSafeEqual } from 'node:crypto'
import { InvalidArgumentError } from 'eventuali'
import { type JwtOptions, type JwtVerifier, jwtVerifier } from './access-token.ts'
import { Failure } from './failure.ts'
import { isRole, type Role } from './role.ts'

/** A key that a program shows; the server keeps its hash only. */
export interface ApiKey {
  /** Whose it is: what stands in audits and metadata. */
  readonly name: string
  readonly role: Role
  /** What `hashApiKey` gives for it. */
  readonly hash: string
}

/** Who is let in, and as what. */
export interface AuthOptions {
  readonly keys?: readonly ApiKey[] | undefined
  readonly jwt?: JwtOptions | undefined
  /** What somebody may do who shows nothing. Nothing when left out. */
  readonly anonymous?: Role | undefined
}

/** Who asks. */
export interface Principal {
  readonly name: string
  readonly role: Role
}

const KEY_LENGTH_MIN = 16
const KEY_LENGTH_MAX = 8192

/**
 * The hash of an API key, to write into a configuration. Keys are long and random, so that one
 * round of SHA-256 is enough; InvalidArgumentError for one of fewer than 16 characters.
 *
 * @example
 * ```ts
 * import { hashApiKey } from '@eventuali/server'
 *
 * console.log(hashApiKey('k_4f1c9d2e7a8b6c5d').length) // 64
 * ```
 */
export function hashApiKey(key: string): string {
  // What a header carries as it is.
  if (typeof key !== 'string' || key.length < KEY_LENGTH_MIN || !/^[\x21-\x7e]+$/.test(key)) {
    throw new InvalidArgumentError(
      'key',
      `must have ${KEY_LENGTH_MIN} random characters or more, without spaces`,
    )
  }
  return createHash('sha256').update(key).digest('hex')
}

/** Finds out who asks. */
export interface Access {
  /** Throws Failure UNAUTHENTICATED for what nobody is let in with. */
  identify(headers: Headers): Promise<Principal>
}

/** Who is let in by these options. Throws InvalidArgumentError. */
export function accessOf(options: AuthOptions = {}): Access {
  const keys = (options.keys ?? []).map(({ name, role, hash }) => {
    if (typeof name !== 'string' || name === '') {
      throw new InvalidArgumentError('auth.keys', 'hold one without a name')
    }
    if (!isRole(role)) throw new InvalidArgumentError('auth.keys', `give ${name} no role`)
    if (!/^[0-9a-f]{64}$/.test(hash)) {
      throw new InvalidArgumentError('auth.keys', `hold no hash for ${name}; see hashApiKey`)
    }
    return { principal: { name, role }, hash: Buffer.from(hash, 'hex') }
  })
  if (options.anonymous !== undefined && !isRole(options.anonymous)) {
    throw new InvalidArgumentError('auth.anonymous', 'must be read, write or admin')
  }
  const verify = options.jwt === undefined ? undefined : jwtVerifier(options.jwt)
  const anonymous =
    options.anonymous === undefined ? undefined : { name: 'anonymous', role: options.anonymous }
  return {
    identify: async (headers) => {
      const shown = credentialOf(headers)
      if (shown !== undefined) return principalOf(shown, keys, verify)
      if (anonymous !== undefined) return anonymous
      throw unauthenticated('show an API key or a token: Authorization: Bearer …')
    },
  }
}

interface HeldKey {
  readonly principal: Principal
  readonly hash: Buffer
}

async function principalOf(
  shown: string,
  keys: readonly HeldKey[],
  verify: JwtVerifier | undefined,
): Promise<Principal> {
  const hash = createHash('sha256').update(shown).digest()
  let found: Principal | undefined
  // All of them, each in the same time: how long it takes tells nothing of which one is near.
  for (const key of keys) if (timingSafeEqual(key.hash, hash)) found = key.principal
  if (found !== undefined) return found
  if (verify !== undefined && shown.split('.').length === 3) return verify(shown)
  throw unauthenticated('the key is not known here', 'invalid_token')
}

function credentialOf(headers: Headers): string | undefined {
  const authorization = headers.get('authorization')
  const shown =
    authorization === null
      ? (headers.get('x-api-key') ?? undefined)
      : /^bearer +([^\s]+)$/i.exec(authorization.trim())?.[1]
  if (authorization !== null && shown === undefined) {
    throw unauthenticated('the Authorization header is no bearer token', 'invalid_request')
  }
  if (shown !== undefined && shown.length > KEY_LENGTH_MAX) {
    throw unauthenticated('the token is too long', 'invalid_token')
  }
  return shown
}

/** The refusal of somebody who is not known. */
export function unauthenticated(message: string, error?: string): Failure {
  const challenge = error === undefined ? '' : `, error="${error}"`
  const headers = { 'www-authenticate': `Bearer realm="eventuali"${challenge}` }
  return new Failure('UNAUTHENTICATED', message, { headers })
}
