/** The package that reads XML, with the versions that it was tried with. */
export const xesPeers: Readonly<Record<string, string>> = { saxes: '^6.0.0' }
