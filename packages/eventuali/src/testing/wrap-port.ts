/**
 * A way to stand in for each method of a part of the store. `next` is the part below; a method
 * that is there outside transactions too has only what is there as well.
 */
export type PortHooks<Access, Reads = Access> = {
  readonly [Method in keyof Access]?: Access[Method] extends (...args: infer Args) => infer Result
    ? (next: Method extends keyof Reads ? Reads : Access, ...args: Args) => Result
    : never
}

/** Stands around a call that it may do, fail, or do and then fail. */
export type Around = <T>(call: string, run: () => Promise<T>) => Promise<T>

type Methods = { readonly [name: string]: (...args: unknown[]) => Promise<unknown> }

/** The named methods of `next`, each through its hook when it has one, and `around` all of them. */
export function wrapPort<Port extends object>(
  next: Port,
  part: string,
  names: readonly (keyof Port & string)[],
  hooks: object | undefined,
  around: Around | undefined,
): Port {
  const below = next as unknown as Methods
  const above = hooks as Methods | undefined
  const wrapped = names.map((name) => {
    const call = (...args: unknown[]) => {
      const run = () =>
        above?.[name]?.(next, ...args) ?? (below[name]?.(...args) as Promise<unknown>)
      return around === undefined ? run() : around(`${part}.${name}`, run)
    }
    return [name, call] as const
  })
  return Object.fromEntries(wrapped) as unknown as Port
}
