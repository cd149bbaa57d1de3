import { ByteWriter } from '@nemea/core';
import type { TransmitOptions } from '../channel/channel.ts';
import { type Authorization, type Command, type HandleRef, returnCodeOf } from '../command.ts';
import { TpmError } from '../errors.ts';
import type { TpmIo } from '../executor.ts';
import { decode, type Fields, struct } from '../structures/codec.ts';
import { type Accused, decodeReturnCode } from '../structures/return-code.ts';
import {
  type CommandDefinition,
  type HandleRoles,
  type ParametersOf,
  type ResultOf,
  writeParameters,
} from './command.ts';

/** What `io.send` takes beside the command itself. */
type SendOptions = Omit<
  Command,
  'name' | 'code' | 'handles' | 'authorizations' | 'parameters' | 'returnsHandle'
>;

type HandlesPart<H extends HandleRoles> = keyof H extends never
  ? { readonly handles?: undefined }
  : { readonly handles: { readonly [K in keyof H]: HandleRef } };

type ParametersPart<P extends Fields> =
  Record<never, never> extends ParametersOf<P>
    ? { readonly parameters?: ParametersOf<P> }
    : { readonly parameters: ParametersOf<P> };

/** Handles with their authorizations, parameters, and the sessions of one command. */
export type RunRequest<H extends HandleRoles, P extends Fields> = HandlesPart<H> &
  ParametersPart<P> &
  SendOptions & {
    /** One for each handle that needs authorization, in order. Absent: the empty password for each. */
    readonly auth?: readonly Authorization[];
  };

/** Any request, as the runner sees it. */
interface AnyRequest extends SendOptions {
  readonly handles?: Readonly<Record<string, HandleRef>> | undefined;
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
  readonly auth?: readonly Authorization[] | undefined;
}

export type RunArguments<H extends HandleRoles, P extends Fields> =
  Record<never, never> extends RunRequest<H, P>
    ? [request?: RunRequest<H, P>, options?: TransmitOptions]
    : [request: RunRequest<H, P>, options?: TransmitOptions];

/**
 * Runs one command of the table. Throws `TPM_ARGUMENT_INVALID` before sending; `TPM_RETURN_CODE`, whose `data` has
 * `{ command, returnCode, name, kind, accused }`, `accused` with the specification's name of the handle or parameter at
 * fault; and what `io.send` throws.
 */
export async function run<H extends HandleRoles, P extends Fields, N extends string, R extends Fields>(
  io: TpmIo,
  command: CommandDefinition<H, P, N, R>,
  ...[request, options]: RunArguments<H, P>
): Promise<ResultOf<N, R>> {
  const { handles, auth, parameters, ...rest }: AnyRequest = request ?? {};
  const writer = new ByteWriter();
  writeParameters(writer, command, parameters ?? {});
  const response = await named(command, () =>
    io.send(
      {
        ...rest,
        name: command.name,
        code: command.code,
        handles: Object.keys(command.handles).map((name) => handleNamed(command.name, handles ?? {}, name)),
        authorizations: auth ?? authorized(command.handles).map(() => 'password'),
        parameters: writer.toBytes(),
        returnsHandle: command.responseHandle !== undefined,
      },
      options,
    ),
  );
  const values = decode(`${command.name} response`, struct(command.response), response.parameters);
  const handle = command.responseHandle === undefined ? {} : { [command.responseHandle]: response.handle };
  return { ...values, ...handle, raw: response.raw } as ResultOf<N, R>;
}

function handleNamed(command: string, handles: Readonly<Record<string, HandleRef>>, name: string): HandleRef {
  const handle = handles[name];
  if (handle === undefined) throw new TpmError('TPM_ARGUMENT_INVALID', `${command}: no handle ${name}`);
  return handle;
}

function authorized(handles: HandleRoles): string[] {
  return Object.keys(handles).filter((name) => handles[name] !== 'none');
}

interface Named {
  readonly handles: HandleRoles;
  readonly parameters: Fields;
}

/** Runs `send`, and says by name what a response code accuses by number. */
async function named<T>(command: Named, send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (error) {
    const code = returnCodeOf(error);
    if (code === undefined || !(error instanceof TpmError)) throw error;
    const { kind, accused } = decodeReturnCode(code);
    if (accused === undefined)
      throw new TpmError('TPM_RETURN_CODE', error.message, { data: { ...error.data, kind }, cause: error });
    const name = nameOfAccused(command, accused);
    throw new TpmError('TPM_RETURN_CODE', `${error.message}: ${name ?? 'an extra one'}`, {
      data: { ...error.data, kind, accused: { ...accused, name } },
      cause: error,
    });
  }
}

/** A session is named after the handle that it authorises. */
function nameOfAccused({ handles, parameters }: Named, { kind, number }: Accused): string | undefined {
  const names = {
    handle: Object.keys(handles),
    session: authorized(handles),
    parameter: Object.keys(parameters),
  }[kind];
  return names[number - 1];
}
