import type { Shape, ShapesOf } from './shape.ts'
import { type WebhookSettings, webhooksShape } from './webhook-settings.ts'

/** A key that programs sign in with. */
export interface ApiKeySettings {
  /** A secret by reference; 16 characters at least. */
  readonly key: string
  /** `read`: look; `write`: append and command as well; `admin`: everything. */
  readonly role: 'read' | 'write' | 'admin'
}

/** Who issues the tokens that people and services sign in with. */
export interface JwtSettings {
  readonly issuer: string
  readonly audience: string
  /** Where the issuer shows its public keys; it says so itself when left out (discovery). */
  readonly jwksUrl?: string | undefined
  /** The only algorithms that are taken. */
  readonly algorithms?: readonly string[] | undefined
  /** The claim that holds the role, or a list with it. */
  readonly roleClaim?: string | undefined
}

/** How the server listens and whom it lets in. */
export interface ServerSettings {
  /** Address that it listens on. */
  readonly host?: string | undefined
  readonly port?: number | undefined
  /** Api keys by name. */
  readonly apiKeys?: Readonly<Record<string, ApiKeySettings>> | undefined
  readonly jwt?: JwtSettings | undefined
  /** What somebody may do who shows no key; nothing when left out, except on this machine. */
  readonly anonymous?: 'read' | 'write' | 'admin' | undefined
  /** Names that clients use for it, beside those of this machine. */
  readonly hosts?: readonly string[] | undefined
  /** Web pages of these origins may ask. */
  readonly origins?: readonly string[] | undefined
  /** Programs that events are sent to, by name. */
  readonly webhooks?: Readonly<Record<string, WebhookSettings>> | undefined
  /** `source` of the CloudEvents that go out; `/` and the stream's category when left out. */
  readonly cloudEventSource?: string | undefined
}

const text: Shape = { kind: 'text' }

const apiKeyShapes: ShapesOf<ApiKeySettings> = {
  key: { kind: 'text', isSecret: true },
  role: { kind: 'text', of: ['read', 'write', 'admin'] },
}

const jwtShapes: ShapesOf<JwtSettings> = {
  issuer: text,
  audience: text,
  jwksUrl: text,
  algorithms: { kind: 'list', of: text },
  roleClaim: text,
}

/** The server's settings: a row here and a line in the type above is all that a new one needs. */
export const serverShapes: ShapesOf<ServerSettings> = {
  host: { kind: 'text', default: '127.0.0.1' },
  port: { kind: 'number', min: 0, default: 4400 },
  apiKeys: {
    kind: 'named',
    of: { kind: 'group', keys: apiKeyShapes, needs: ['key', 'role'] },
  },
  anonymous: { kind: 'text', of: ['read', 'write', 'admin'] },
  hosts: { kind: 'list', of: text },
  origins: { kind: 'list', of: text },
  webhooks: webhooksShape,
  cloudEventSource: text,
  jwt: { kind: 'group', keys: jwtShapes, needs: ['issuer', 'audience'] },
}
