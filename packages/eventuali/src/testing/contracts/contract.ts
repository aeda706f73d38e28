import type { StoreCapabilities, StoreManifest } from '../../ports/index.ts'

/** One law of a port, shown by running it. Throws when the law is broken. */
export interface ContractCase<Context> {
  readonly name: string
  /** Capabilities without which the law says nothing. */
  readonly needs: readonly (keyof StoreCapabilities)[]
  readonly run: (context: Context) => Promise<void>
}

/** The laws of one port as plain data, free of any test framework. */
export interface Contract<Context> {
  readonly port: string
  readonly cases: readonly ContractCase<Context>[]
}

/** Puts cases together and refuses two of the same name, which reports could not tell apart. */
export function defineContract<Context>(
  port: string,
  cases: readonly ContractCase<Context>[],
): Contract<Context> {
  const names = new Set<string>()
  for (const { name } of cases) {
    if (names.has(name)) throw new TypeError(`contract ${port} has two cases named "${name}"`)
    names.add(name)
  }
  return { port, cases }
}

/** Why a manifest lets a case be skipped, or undefined when it must run. */
export function skipReason<Context>(
  contractCase: ContractCase<Context>,
  manifest: Pick<StoreManifest, 'capabilities' | 'denied'>,
): string | undefined {
  for (const need of contractCase.needs) {
    if (manifest.capabilities[need]) continue
    const why = manifest.denied[need]
    if (why === undefined) throw new TypeError(`the manifest denies ${need} without a reason`)
    return `${need}: ${why}`
  }
  return undefined
}
