import { z } from 'zod';
import { fromUtf8 } from './bytes.ts';
import { type CborValue, decodeCbor, encodeCbor } from './cbor.ts';
import { type CodedError, errorCode } from './errors.ts';

/** A strict dag-cbor document: exact keys, bounded fields, one encoding per value. */
export interface DocumentCodec<T> {
  /** Throws the codec's own error. */
  readonly parse: (bytes: Uint8Array) => T;
  /** Throws the same error for a value that `parse` would refuse. */
  readonly encode: (value: T) => Uint8Array;
}

export interface DocumentOptions<T> {
  readonly name: string;
  readonly schema: z.ZodType<T>;
  readonly bytesMax: number;
  readonly invalid: (message: string, cause?: unknown) => CodedError;
}

export function defineDocument<T>(options: DocumentOptions<T>): DocumentCodec<T> {
  const { name, schema, bytesMax, invalid } = options;

  function check(value: unknown): T {
    const checked = schema.safeParse(value);
    if (checked.success) return checked.data;
    const issue = checked.error.issues[0];
    const path = issue === undefined || issue.path.length === 0 ? 'document' : issue.path.join('.');
    throw invalid(`${name}: ${path}: ${issue?.message ?? 'not valid'}`);
  }

  function refuseOversize(bytes: Uint8Array): void {
    if (bytes.length > bytesMax) {
      throw invalid(`${name}: got ${bytes.length} bytes, want at most ${bytesMax}`);
    }
  }

  function parse(bytes: Uint8Array): T {
    refuseOversize(bytes);
    let value: CborValue;
    try {
      value = decodeCbor(bytes);
    } catch (cause) {
      throw invalid(`${name}: ${errorCode(cause)}`, cause);
    }
    return check(value);
  }

  function encode(value: T): Uint8Array {
    const bytes = encodeCbor(check(value) as CborValue);
    refuseOversize(bytes);
    return bytes;
  }

  return { parse, encode };
}

/** A byte string whose length lies within the bounds; with one bound, exactly that long. */
export function byteString(lengthMin: number, lengthMax = lengthMin): z.ZodType<Uint8Array> {
  const want = lengthMin === lengthMax ? `${lengthMin}` : `${lengthMin} to ${lengthMax}`;
  return z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length >= lengthMin && value.length <= lengthMax,
    { error: `want ${want} bytes` },
  );
}

/** Text of at most `bytesMax` bytes in UTF-8, without control characters or lone surrogates. */
export function boundedText(bytesMax: number): z.ZodType<string> {
  return z.custom<string>(
    (value) =>
      typeof value === 'string' &&
      value.length <= bytesMax &&
      value.isWellFormed() &&
      !/\p{Cc}/u.test(value) &&
      fromUtf8(value).length <= bytesMax,
    { error: `want at most ${bytesMax} bytes of text without control characters` },
  );
}

export function boundedInteger(max: number): z.ZodType<number> {
  return z.custom<number>(
    (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max,
    { error: `want an integer from 0 to ${max}` },
  );
}

const U64_MAX = 2n ** 64n - 1n;

/** A 64-bit counter: dag-cbor gives a number when it is small and a bigint beyond 2^53; here always a bigint. */
export function unsigned64(): z.ZodType<bigint> {
  return z.preprocess(
    (value) => (typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value),
    z.custom<bigint>((value) => typeof value === 'bigint' && value >= 0n && value <= U64_MAX, {
      error: 'want an unsigned 64-bit integer',
    }),
  );
}

/**
 * A list of at most `lengthMax`. Not zod's `readonly()`: that freezes what it was given even when it is refused, and
 * freezing bytes throws.
 */
export function boundedList<T>(
  item: z.ZodType<T>,
  lengthMax: number,
  lengthMin = 0,
): z.ZodType<readonly T[]> {
  return z.array(item).min(lengthMin).max(lengthMax);
}
