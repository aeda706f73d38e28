type Scalar = string | number | boolean
type Deeper = [never, 0, 1, 2, 3]

/** What a document may hold below a name: scalars and lists end a path, objects go on. */
type PathsBelow<V, Name extends string, Depth extends number> = V extends
  | Scalar
  | readonly unknown[]
  ? Name
  : V extends object
    ? Name | `${Name}.${PathOf<V, Deeper[Depth]>}`
    : never

/** Paths to the properties of a document: `status`, `address.city`. At most four names deep. */
export type PathOf<T, Depth extends number = 3> = [Depth] extends [never]
  ? never
  : T extends unknown
    ? {
        [K in keyof T & string]-?: PathsBelow<NonNullable<T[K]>, K, Depth>
      }[keyof T & string]
    : never

/** What stands at a path; `null` and `undefined` are left out. */
export type ValueAt<T, Path extends string> = T extends unknown
  ? Path extends keyof T
    ? NonNullable<T[Path]>
    : Path extends `${infer Head}.${infer Rest}`
      ? Head extends keyof T
        ? ValueAt<NonNullable<T[Head]>, Rest>
        : never
      : never
  : never

/** Paths to what can be compared and indexed. */
export type ScalarPath<T> = {
  [P in PathOf<T>]: ValueAt<T, P> extends Scalar ? P : never
}[PathOf<T>]

/** The names in a path. */
export function namesOf(path: string): readonly string[] {
  return path.split('.')
}
