import { DriverMissingError, InvalidArgumentError } from '../../model/index.ts'

/** A statement as the driver takes it. Own queries only: raw texts, rows as arrays. */
export interface DriverQuery {
  readonly text: string
  readonly values?: readonly unknown[]
  readonly name?: string
  readonly rowMode?: 'array'
  readonly types?: { getTypeParser(): (value: string) => unknown }
}

/** What the driver answers. */
export interface DriverResult {
  readonly rows: readonly (readonly (string | null)[])[]
  readonly command?: string | null
}

/** The part of a `pg` Client that the store uses. */
export interface DriverClient {
  query(query: DriverQuery | string): Promise<DriverResult>
  on(event: 'error' | 'end', listener: (error: Error) => void): unknown
  on(event: 'notification', listener: (message: { channel: string }) => void): unknown
  connect(): Promise<unknown>
  end(): Promise<void>
  readonly processID?: number | null
  readonly connection?: { readonly stream?: { destroy(): void } }
  /** 'I' idle, 'T' in a transaction, 'E' in a failed one; only newer drivers tell. */
  readonly _txStatus?: string | null
}

/** A client that belongs to a pool. */
export interface DriverPoolClient extends DriverClient {
  release(destroy?: boolean): void
}

/** The part of a `pg` Pool that the store uses. */
export interface DriverPool {
  connect(): Promise<DriverPoolClient>
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'connect', listener: (client: DriverPoolClient) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'connect', listener: (client: DriverPoolClient) => void): unknown
  end(): Promise<void>
  readonly options?: { readonly max?: number }
}

/** The `pg` package. */
export interface Driver {
  readonly Pool: new (config: object) => DriverPool
  readonly Client: new (config: object) => DriverClient
}

/** Loads `pg` on first use, so that others need not install it. */
export async function loadDriver(): Promise<Driver> {
  // The name is kept from the compiler: the package is an optional peer.
  const name: string = 'pg'
  try {
    const module = (await import(name)) as { default?: Driver } & Partial<Driver>
    return module.default ?? (module as Driver)
  } catch (cause) {
    throw new DriverMissingError('pg', 'npm install pg', { cause })
  }
}

/** Takes a client that a caller handed in, or says what is wrong with it. */
export function asClient(value: unknown): DriverClient {
  const client = value as Partial<DriverClient> | null | undefined
  if (typeof client?.query !== 'function' || typeof client.on !== 'function') {
    throw new InvalidArgumentError('within', 'is not a pg Client in a transaction')
  }
  if (typeof client._txStatus === 'string' && client._txStatus === 'I') {
    throw new InvalidArgumentError('within', 'is a pg client outside a transaction; BEGIN first')
  }
  return client as DriverClient
}
