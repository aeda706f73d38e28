// Compile-time twin of assertJson: finds what JSON would lose or change, and names where.

type Deeper = [never, 0, 1, 2, 3, 4, 5, 6, 7]

type Reason<
  Path extends string,
  What extends string,
> = `${Path} is ${What}, which JSON does not carry; convert it, or give the event a codec`

type IsAny<T> = 0 extends 1 & T ? true : false

type ObjectProblem<T, Path extends string, Depth extends number> = {
  [K in keyof T & (string | number)]-?: JsonProblem<
    Exclude<T[K], undefined>,
    `${Path}.${K}`,
    Deeper[Depth]
  >
}[keyof T & (string | number)]

type ValueProblem<T, Path extends string, Depth extends number> = T extends
  | string
  | number
  | boolean
  | null
  ? never
  : T extends undefined
    ? `${Path} may be undefined, which JSON does not carry; use null`
    : T extends bigint
      ? Reason<Path, 'a bigint'>
      : T extends symbol
        ? Reason<Path, 'a symbol'>
        : T extends (...args: never) => unknown
          ? Reason<Path, 'a function'>
          : T extends Date
            ? Reason<Path, 'a Date'>
            : T extends ReadonlyMap<unknown, unknown>
              ? Reason<Path, 'a Map'>
              : T extends ReadonlySet<unknown>
                ? Reason<Path, 'a Set'>
                : T extends ArrayBufferView | ArrayBufferLike
                  ? Reason<Path, 'binary'>
                  : T extends readonly unknown[]
                    ? JsonProblem<T[number], `${Path}[]`, Deeper[Depth]>
                    : T extends object
                      ? ObjectProblem<T, Path, Depth>
                      : never

/**
 * `never` when JSON carries `T`, otherwise a sentence that names the property. `any` and `unknown`
 * pass (the run-time check sees them), and so does what lies deeper than eight levels.
 */
export type JsonProblem<T, Path extends string = 'data', Depth extends number = 8> = [
  Depth,
] extends [never]
  ? never
  : IsAny<T> extends true
    ? never
    : ValueProblem<T, Path, Depth>
