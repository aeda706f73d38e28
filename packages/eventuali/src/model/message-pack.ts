import { loadPeer } from '../kernel/index.ts'
import { CodecMissingError } from './errors.ts'

interface Packer {
  pack(value: unknown): Uint8Array
  unpack(bytes: Uint8Array): unknown
}

interface MessagePackModule {
  readonly Packr: new (options: object) => Packer
}

const PACKAGE = 'msgpackr'
/**
 * Plain maps and nothing of its own: without records and extensions any reader of MessagePack can
 * read it, with nothing but the bytes.
 */
const plain = {
  ...{ useRecords: false, mapsAsObjects: true, variableMapSize: true },
  structuredClone: false,
} as const

let packer: Packer | undefined

/** MessagePack, from the optional package msgpackr. Throws CodecMissingError. */
export function messagePack(): Packer {
  if (packer !== undefined) return packer
  const module = loadPeer<MessagePackModule>(PACKAGE)
  if (module === undefined) throw new CodecMissingError('msgpack', `run "npm install ${PACKAGE}"`)
  packer = new module.Packr(plain)
  return packer
}

/**
 * What MessagePack, or the package, does not give back as it was: halves of surrogate pairs, which
 * UTF-8 cannot hold, and the property names that mean something to JavaScript.
 */
const UNFIT = /\\ud[89a-f]|"(?:constructor|__proto__|toJSON)":/i

/** Whether a value's JSON text comes back from MessagePack unchanged. */
export function isFitForMessagePack(json: string): boolean {
  return !UNFIT.test(json)
}
