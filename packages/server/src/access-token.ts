import { InvalidArgumentError, systemClock } from 'eventuali'
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
  /**
   * Where the provider shows its public keys. Without it and `jwks` the issuer says so itself, at
   * `/.well-known/openid-configuration` (OpenID Connect Discovery).
   */
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
const FETCH_TIMEOUT_MS = 5000
/** How long a failed discovery is not tried again. */
const DISCOVERY_PAUSE_MS = 5000

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

function keysOf({ jwks, jwksUrl, issuer }: JwtOptions): JWTVerifyGetKey {
  if (jwks !== undefined && jwksUrl !== undefined) {
    throw new InvalidArgumentError('auth.jwt', 'takes one of jwks and jwksUrl')
  }
  if (jwks !== undefined) return createLocalJWKSet(jwks)
  if (jwksUrl !== undefined) return remoteKeys(safeUrl(jwksUrl, 'auth.jwt.jwksUrl'))
  safeUrl(issuer, 'auth.jwt.issuer')
  return discoveredKeys(issuer)
}

/** A url whose answer nobody on the way can change. */
function safeUrl(text: string, name: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isLocal = url?.hostname === 'localhost' || url?.hostname === '127.0.0.1'
  if (url !== undefined && (url.protocol === 'https:' || isLocal)) return url
  throw new InvalidArgumentError(name, 'must be a url of https')
}

/** Keys are fetched anew when a token names one that is not known: a provider changes them. */
function remoteKeys(url: URL): JWTVerifyGetKey {
  return createRemoteJWKSet(url, { timeoutDuration: FETCH_TIMEOUT_MS })
}

/** Asks the issuer where its keys are when the first token comes, so that it may start later. */
function discoveredKeys(issuer: string): JWTVerifyGetKey {
  let keys: JWTVerifyGetKey | undefined
  let asked: Promise<JWTVerifyGetKey> | undefined
  let againAtMs = 0
  return async (header, token) => {
    if (keys === undefined) {
      // Not for each token while the issuer is away.
      if (asked === undefined || systemClock.monotonic() >= againAtMs) {
        againAtMs = systemClock.monotonic() + DISCOVERY_PAUSE_MS
        asked = discover(issuer)
      }
      keys = await asked
    }
    return keys(header, token)
  }
}

async function discover(issuer: string): Promise<JWTVerifyGetKey> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  // Where it leads elsewhere, whoever is there is not who was named.
  const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS)
  const answer = await fetch(url, { redirect: 'error', signal })
  if (!answer.ok) throw new Error(`${url} was answered with status ${answer.status}`)
  const said = (await answer.json()) as { readonly issuer?: unknown; readonly jwks_uri?: unknown }
  if (said.issuer !== issuer) throw new Error(`${url} is that of another issuer`)
  return remoteKeys(safeUrl(String(said.jwks_uri), 'jwks_uri'))
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
