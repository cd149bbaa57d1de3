import { type ByteWriter, CodedError } from '@nemea/core';
import { TpmError } from '../errors.ts';
import type { Codec, Fields, OptionalCodec, StructOf, ValueOf } from '../structures/codec.ts';

/** What a handle needs: an authorization of this role (TPM 2.0 Part 1, 19.2), or nothing. */
export type Role = 'user' | 'admin' | 'dup' | 'none';
export type HandleRoles = Readonly<Record<string, Role>>;

/** One command of TPM 2.0 Part 3: names, order and roles are those of its tables. */
export interface CommandDefinition<
  H extends HandleRoles,
  P extends Fields,
  N extends string,
  R extends Fields,
> {
  /** Without the prefix TPM2_. */
  readonly name: string;
  /** TPM_CC. */
  readonly code: number;
  readonly handles: H;
  readonly parameters: P;
  /** The name of the handle that the response begins with. */
  readonly responseHandle: N | undefined;
  readonly response: R;
}

type None = Record<never, never>;

interface Declaration<H extends HandleRoles, P extends Fields, N extends string, R extends Fields> {
  readonly handles?: H;
  readonly parameters?: P;
  readonly responseHandle?: N;
  readonly response?: R;
}

/** Declares a command; what is left out it does not have. */
export function command<
  const H extends HandleRoles = None,
  P extends Fields = None,
  const N extends string = never,
  R extends Fields = None,
>(name: string, code: number, declaration: Declaration<H, P, N, R> = {}): CommandDefinition<H, P, N, R> {
  const { handles, parameters, responseHandle, response } = declaration;
  return {
    name,
    code,
    handles: handles ?? ({} as H),
    parameters: parameters ?? ({} as P),
    responseHandle,
    response: response ?? ({} as R),
  };
}

type OptionalKeys<P extends Fields> = {
  [K in keyof P]: P[K] extends OptionalCodec<unknown> ? K : never;
}[keyof P];

/** The parameters a caller gives: those with a usual value may be absent. */
export type ParametersOf<P extends Fields> = {
  readonly [K in Exclude<keyof P, OptionalKeys<P>>]: ValueOf<P[K]>;
} & { readonly [K in OptionalKeys<P>]?: ValueOf<P[K]> };

/** What a command answers: its values, the handle by its name, and the response's own bytes. */
export type ResultOf<N extends string, R extends Fields> = StructOf<R> & { readonly [K in N]: number } & {
  readonly raw: Uint8Array;
};

/** Writes a command's parameters. Throws `TPM_ARGUMENT_INVALID` with the name of the parameter at fault. */
export function writeParameters(
  writer: ByteWriter,
  { name, parameters }: { readonly name: string; readonly parameters: Fields },
  values: Readonly<Record<string, unknown>>,
): void {
  // A misspelt parameter would be left out, and one that may be absent would not be missed.
  const unknown = Object.keys(values).find((key) => !Object.hasOwn(parameters, key));
  if (unknown !== undefined) throw new TpmError('TPM_ARGUMENT_INVALID', `${name}: no parameter ${unknown}`);
  for (const [key, codec] of Object.entries(parameters)) {
    const value = values[key] ?? absent(codec);
    try {
      codec.write(writer, value);
    } catch (cause) {
      const reason = cause instanceof CodedError ? cause.message : 'not a value of its type';
      throw new TpmError('TPM_ARGUMENT_INVALID', `${name}, ${key}: ${reason}`, { cause });
    }
  }
}

function absent(codec: Codec<unknown>): unknown {
  return 'absent' in codec ? codec.absent : undefined;
}
