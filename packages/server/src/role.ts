/** What a caller may do: each may do what those before it may. */
export type Role = 'read' | 'write' | 'admin'

const ranks: Readonly<Record<Role, number>> = { read: 1, write: 2, admin: 3 }

/** Whether a role includes another. */
export function includes(role: Role, wanted: Role): boolean {
  return ranks[role] >= ranks[wanted]
}

/** Whether a value is a role. */
export function isRole(value: unknown): value is Role {
  return typeof value === 'string' && Object.hasOwn(ranks, value)
}
