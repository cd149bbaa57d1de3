import { toHex } from '@nemea/core';
import { expect } from 'vitest';
import { HANDLE } from '../../command.ts';
import type { TpmIo } from '../../executor.ts';
import type { TpmKey } from '../../object.ts';
import { type Session, startSession } from '../../sessions/session.ts';
import { decode, encode, type Fields, struct } from '../../structures/codec.ts';
import { encodePublicArea, type PublicArea, parsePublicArea } from '../../structures/public-area.ts';
import { TEMPLATES } from '../../structures/templates.ts';
import type { Tpm } from '../../tpm.ts';
import type { CommandDefinition, HandleRoles, ResultOf } from '../command.ts';
import { CreatePrimary } from '../object.ts';
import { type RunArguments, run } from '../run.ts';

export const EMPTY = new Uint8Array(0);
export const ENDORSEMENT = { hierarchy: HANDLE.endorsement };

/** The bytes of one half of an exchange, and the codec that must read and write them. */
export interface Specimen {
  readonly name: string;
  readonly fields: Fields;
  readonly bytes: Uint8Array;
}

/** A TPM on which every command is checked in passing: its parameters and its answer survive their codecs. */
export interface Bench {
  readonly tpm: Pick<Tpm, 'exclusive'>;
  /** Names of the commands that succeeded. */
  readonly succeeded: Set<string>;
  readonly specimens: Specimen[];
  run<H extends HandleRoles, P extends Fields, N extends string, R extends Fields>(
    command: CommandDefinition<H, P, N, R>,
    ...request: RunArguments<H, P>
  ): Promise<ResultOf<N, R>>;
  primary(area: PublicArea, options?: { hierarchy?: number; data?: Uint8Array }): Promise<TpmKey>;
  /** A policy session for the length of `use`. */
  withPolicy<T>(use: (session: Session) => Promise<T>, type?: 'policy' | 'trial'): Promise<T>;
}

export function benchOf(tpm: Bench['tpm'], succeeded: Set<string>, specimens: Specimen[]): Bench {
  const bench: Bench = {
    tpm,
    succeeded,
    specimens,
    run: (command, ...request) =>
      tpm.exclusive(async (io) => {
        const result = await run(observed(io, command, specimens), command, ...request);
        succeeded.add(command.name);
        return result;
      }),
    async primary(area, { hierarchy = HANDLE.owner, data = EMPTY } = {}) {
      const { objectHandle, outPublic, name } = await bench.run(CreatePrimary, {
        handles: { primaryHandle: hierarchy },
        parameters: { inPublic: area, inSensitive: { userAuth: EMPTY, data } },
      });
      return { handle: objectHandle, publicArea: encodePublicArea(outPublic), name };
    },
    async withPolicy(use, type = 'policy') {
      const session = await tpm.exclusive((io) => startSession(io, { type }));
      try {
        return await use(session);
      } finally {
        await session.close();
      }
    },
  };
  return bench;
}

interface Coded {
  readonly name: string;
  readonly code: number;
  readonly parameters: Fields;
  readonly response: Fields;
}

function observed(io: TpmIo, { name, code, parameters, response }: Coded, specimens: Specimen[]): TpmIo {
  return {
    ...io,
    async send(command, options) {
      const answer = await io.send(command, options);
      if (command.code !== code) return answer;
      const sent = { name, fields: parameters, bytes: command.parameters ?? EMPTY };
      const received = { name: `${name} response`, fields: response, bytes: answer.parameters };
      for (const specimen of [sent, received]) {
        expectCanonical(specimen);
        specimens.push(specimen);
      }
      return answer;
    },
  };
}

export function expectCanonical({ name, fields, bytes }: Specimen): void {
  const codec = struct(fields);
  expect(toHex(encode(codec, decode(name, codec, bytes)))).toBe(toHex(bytes));
}

function area(template: Uint8Array): PublicArea {
  return parsePublicArea(template);
}

/** Public areas for keys that the templates of this package do not have. */
export const AREA = {
  srk: area(TEMPLATES.srk),
  ak: area(TEMPLATES.ak),
  vrf: area(TEMPLATES.vrf),
} as const;
