/** A store as `openStore` gives it, or the port itself. */
export type PortOrStore<Port> = Port | { readonly port: Port }

/** The port of what a caller handed in. */
export function portOf<Port extends object>(store: PortOrStore<Port>): Port {
  return 'port' in store ? store.port : store
}
