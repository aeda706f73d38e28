import { lookup as resolve } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/** Addresses that are nobody's on the internet: this machine, its network, and what is there. */
const reserved = new BlockList()
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  reserved.addSubnet(network, prefix, 'ipv4')
}
for (const [network, prefix] of [
  ['::', 128],
  ['::1', 128],
  // What translates addresses of IPv4, private ones among them.
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const) {
  reserved.addSubnet(network, prefix, 'ipv6')
}

/** Whether an address is one that a request from outside must not reach. */
export function isPrivate(address: string): boolean {
  const family = isIP(address)
  // What is no address at all has not been looked up, and is not trusted.
  return family === 0 || reserved.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

/** The refusal of an address: whoever can set a webhook must not reach what only the server can. */
export class PrivateAddressError extends Error {
  constructor(host: string) {
    super(`${host} is an address of a private network; allow it for this webhook if it is meant`)
  }
}

/**
 * Looks names up and refuses private addresses, at the very moment of connecting: a name that was
 * public when it was looked at may be another one by then.
 */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, '', 0)
    const found = addresses.find(({ address }) => isPrivate(address))
    const first = addresses[0]
    if (found !== undefined || first === undefined) {
      return callback(new PrivateAddressError(hostname), '', 0)
    }
    if (options.all === true) return callback(null, addresses)
    return callback(null, first.address, first.family)
  })
}
