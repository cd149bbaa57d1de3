/**
 * The base of every error that a caller may handle. `code` is a stable string, `data` says what was wrong
 * (never a secret), `message` says it to a person.
 */
export class CodedError<C extends string = string> extends Error {
  readonly code: C;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: C, message: string, options: { data?: Record<string, unknown>; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.data = options.data ?? {};
  }
}

export type CoreErrorCode =
  | 'BYTES_HEX_INVALID'
  | 'BYTES_OUT_OF_BOUNDS'
  | 'BYTES_TRAILING'
  | 'BYTES_TYPE_INVALID'
  | 'BYTES_UTF8_INVALID'
  | 'CBOR_INVALID'
  | 'CBOR_NOT_CANONICAL';

export class CoreError extends CodedError<CoreErrorCode> {}

/** The stable code of any thrown value; `UNEXPECTED` for what carries none. */
export function errorCode(error: unknown): string {
  if (error instanceof CodedError) return error.code;
  return 'UNEXPECTED';
}
