const listeners = new WeakMap<object, Set<() => void>>()

/**
 * Tells the consumers of the same store object that records have changed, so that they look now.
 * A hint only: other processes see it at their next poll.
 */
export function recordsChanged(port: object): void {
  for (const listener of listeners.get(port) ?? []) listener()
}

/** Calls back at every hint until the returned function is called. */
export function onRecordsChanged(port: object, listener: () => void): () => void {
  const set = listeners.get(port) ?? new Set()
  listeners.set(port, set.add(listener))
  return () => set.delete(listener)
}
