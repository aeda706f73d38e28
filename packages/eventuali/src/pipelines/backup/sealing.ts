import { createCipheriv, createDecipheriv, scrypt } from 'node:crypto'
import type { Random } from '../../kernel/index.ts'
import { BackupInvalidError, BackupPassphraseError } from '../../model/index.ts'

const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const SALT_BYTES = 16
const TAG_BYTES = 16
const NONCE_BYTES = 12
/** A passphrase costs a guesser 32 MiB and a tenth of a second for each try. */
const COST = { N: 2 ** 15, r: 8, p: 1 } as const
/** What is still derived when a file asks for it. */
const COST_MAX = { N: 2 ** 20, r: 32, p: 16 } as const

/** How a file's key is made of a passphrase; stands in the clear. */
export interface SealingParameters {
  readonly cipher: string
  readonly N: number
  readonly r: number
  readonly p: number
  /** Base64. */
  readonly salt: string
}

/**
 * Encrypts the frames of one file. Its key comes of a salt that no other file has, so that the
 * number of a frame is a nonce that is used once.
 */
export interface Sealing {
  readonly extraBytes: number
  seal(number: number, beside: Uint8Array, content: Uint8Array): Buffer
  /** Throws BackupInvalidError, and BackupPassphraseError at the first sealed frame. */
  open(number: number, beside: Uint8Array, content: Uint8Array, file: string): Buffer
}

/** Parameters for a new file. */
export function newParameters(random: Random): SealingParameters {
  const salt = Buffer.from(random.bytes(SALT_BYTES)).toString('base64')
  return { cipher: CIPHER, ...COST, salt }
}

/** Derives the key. Throws BackupInvalidError for parameters that no backup has. */
export async function sealingOf(
  { cipher, N, r, p, salt }: SealingParameters,
  passphrase: string,
  file: string,
): Promise<Sealing> {
  const within = (value: number, most: number) =>
    Number.isSafeInteger(value) && value >= 1 && value <= most
  const fits = within(N, COST_MAX.N) && within(r, COST_MAX.r) && within(p, COST_MAX.p)
  if (cipher !== CIPHER || !fits || typeof salt !== 'string') {
    throw new BackupInvalidError(file, 'it is encrypted in a way that is not known here')
  }
  const key = await derive(passphrase, Buffer.from(salt, 'base64'), { N, r, p })
  return {
    extraBytes: TAG_BYTES,
    seal: (number, beside, content) => {
      const made = createCipheriv(CIPHER, key, nonceOf(number)).setAAD(beside)
      return Buffer.concat([made.update(content), made.final(), made.getAuthTag()])
    },
    open: (number, beside, content, from) => {
      const end = content.length - TAG_BYTES
      try {
        const made = createDecipheriv(CIPHER, key, nonceOf(number)).setAAD(beside)
        made.setAuthTag(content.subarray(end))
        return Buffer.concat([made.update(content.subarray(0, end)), made.final()])
      } catch (cause) {
        if (number > 1) throw new BackupInvalidError(from, 'a part of it was altered', { cause })
        throw new BackupPassphraseError(from, 'the passphrase is not the one it was made with')
      }
    },
  }
}

function nonceOf(number: number): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES)
  nonce.writeBigUInt64LE(BigInt(number), 4)
  return nonce
}

function derive(
  passphrase: string,
  salt: Buffer,
  cost: { readonly N: number; readonly r: number; readonly p: number },
): Promise<Buffer> {
  const maxmem = 256 * cost.N * cost.r
  return new Promise((resolve, reject) => {
    // The same letters in another spelling are the same passphrase.
    scrypt(passphrase.normalize('NFKC'), salt, KEY_BYTES, { ...cost, maxmem }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    )
  })
}
