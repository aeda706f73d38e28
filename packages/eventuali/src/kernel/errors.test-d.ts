import { type EventualiError, isEventualiError } from './index.ts'

interface Stale extends EventualiError {
  readonly code: 'STALE'
  readonly stream: string
}
interface Gone extends EventualiError {
  readonly code: 'GONE'
}

declare const caught: unknown
declare const error: EventualiError
declare const failed: Stale | Gone
declare const oneOfTwo: 'STALE' | 'GONE'
declare const anyText: string

// By its code: the literal, and all that an error of the library has.
if (isEventualiError(caught, 'VERSION_CONFLICT')) {
  const code: 'VERSION_CONFLICT' = caught.code
  const ours: EventualiError = caught
  // @ts-expect-error: it is of another code.
  const other: 'LOG_CHANGED' = caught.code
  void [code, ours, other]
}

// Without one: any code.
if (isEventualiError(caught)) {
  const code: string = caught.code
  const retryable: boolean = caught.retryable
  // @ts-expect-error: nobody has asked which.
  const literal: 'VERSION_CONFLICT' = caught.code
  void [code, retryable, literal]
}

// By one of two.
if (isEventualiError(caught, 'STALE') || isEventualiError(caught, 'GONE')) {
  const code: 'STALE' | 'GONE' = caught.code
  // @ts-expect-error: it may be the other one.
  const first: 'STALE' = caught.code
  void [code, first]
}
if (isEventualiError(caught, oneOfTwo)) {
  const code: 'STALE' | 'GONE' = caught.code
  void code
}

// By a text that is known at run time only.
if (isEventualiError(caught, anyText)) {
  // @ts-expect-error: any text.
  const code: 'STALE' = caught.code
  void code
}

// Of classes that are known, the one of the code.
if (isEventualiError(failed, 'STALE')) {
  const stream: string = failed.stream
  void stream
}

// One of another code is an error all the same.
if (!isEventualiError(error, 'STALE')) {
  const { message, code } = error
  void [message, code]
}

// @ts-expect-error: a code is a text.
isEventualiError(caught, 7)
