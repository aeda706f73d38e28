import { InvalidArgumentError } from 'eventuali'
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose'
import { Failure } from './failure.ts'
import type { Role } from './role.ts'

/** Tokens of an OpenID Connect provider, or of whoever signs JWTs. */
export interface JwtOptions {
  /** `iss` that a token must have. */
  readonly issuer: string
  /** `aud` that a token must have. */
  readonly audience: string
  /** Where the provider shows its public keys. */
  readonly jwksUrl?: string | undefined
  /** The public keys themselves, in the place of `jwksUrl`. */
  readonly jwks?: JSONWebKeySet | undefined
  /**
   * Algorithms of signatures that are taken, all others are refused; RS256, ES256 and EdDSA when
   * left out. Those with a shared secret are not among the ones that can be named.
   */
  readonly algorithms?: readonly string[] | undefined
  /**
   * What the bearer may do, from the token's claims. When left out: the highest of the words
   * `eventuali:read`, `eventuali:write`, `eventuali:admin` in `scope`, `scp` or `roles`.
   */
  readonly roleOf?: ((claims: JWTPayload) => Role | undefined) | undefined
}

/** Who shows the token. Throws Failure. */
export type JwtVerifier = (token: string) => Promise<{ readonly name: string; readonly role: Role }>

const asymmetric =
  /^(?:RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512|EdDSA|Ed25519|ML-DSA-\d\d)$/
const TOLERANCE_SECONDS = 5

/** Checks tokens. Throws InvalidArgumentError for options that would let anybody in. */
export function jwtVerifier(options: JwtOptions): JwtVerifier {
  const { issuer, audience, algorithms = ['RS256', 'ES256', 'EdDSA'] } = options
  for (const [name, value] of Object.entries({ issuer, audience })) {
    if (typeof value === 'string' && value !== '') continue
    throw new InvalidArgumentError(`auth.jwt.${name}`, 'must be a text that tokens have to have')
  }
  if (algorithms.length === 0 || algorithms.some((name) => !asymmetric.test(name))) {
    throw new InvalidArgumentError('auth.jwt.algorithms', 'must be of signatures by public key')
  }
  const roleOf = options.roleOf ?? roleOfClaims
  const keys = keysOf(options)
  return async (token) => {
    const claims = await verified(token, keys, {
      issuer,
      audience,
      algorithms: [...algorithms],
      requiredClaims: ['exp'],
      clockTolerance: TOLERANCE_SECONDS,
    })
    const role = roleOf(claims)
    if (role === undefined) {
      throw new Failure('ACCESS_DENIED', 'the token names no role of this server')
    }
    return { name: claims.sub ?? 'unknown', role }
  }
}

function keysOf({ jwks, jwksUrl }: JwtOptions): JWTVerifyGetKey {
  if ((jwks === undefined) === (jwksUrl === undefined)) {
    throw new InvalidArgumentError('auth.jwt', 'needs one of jwks and jwksUrl')
  }
  if (jwks !== undefined) return createLocalJWKSet(jwks)
  const url = URL.canParse(jwksUrl ?? '') ? new URL(jwksUrl ?? '') : undefined
  const isLocal = url?.hostname === 'localhost' || url?.hostname === '127.0.0.1'
  if (url === undefined || (url.protocol !== 'https:' && !isLocal)) {
    throw new InvalidArgumentError('auth.jwt.jwksUrl', 'must be a url of https')
  }
  return createRemoteJWKSet(url, { timeoutDuration: 5000 })
}

async function verified(
  token: string,
  keys: JWTVerifyGetKey,
  options: Parameters<typeof jwtVerify>[2],
): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys, options)).payload
  } catch (cause) {
    const isToken = cause instanceof errors.JOSEError && !(cause instanceof errors.JWKSTimeout)
    // Keys that cannot be fetched are the provider's trouble: no token is to blame for it.
    if (!isToken) throw new Failure('INTERNAL', 'the keys of the issuer are not there', { cause })
    const why = cause instanceof errors.JWTExpired ? 'it has expired' : 'it is not from here'
    throw new Failure('UNAUTHENTICATED', `the token is refused: ${why}`, {
      headers: { 'www-authenticate': 'Bearer realm="eventuali", error="invalid_token"' },
      cause,
    })
  }
}

function roleOfClaims(claims: JWTPayload): Role | undefined {
  const words = [claims.scope, claims.scp, claims.roles].flatMap((value) =>
    typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value : [],
  )
  for (const role of ['admin', 'write', 'read'] as const) {
    if (words.includes(`eventuali:${role}`)) return role
  }
  return undefined
}
