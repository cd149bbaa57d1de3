import { bytesEqual, u16At } from '@nemea/core';
import { type Command, HANDLE } from '../command.ts';
import { CreatePrimary } from '../commands/object.ts';
import { type CommandLayout, HANDLES_OFFSET } from './command-layout.ts';

/**
 * How a primary key is made once more, and what must come of it. It is a function of its hierarchy's seed and its
 * template, so a TPM that starts anew gives the same key; the public area proves it.
 */
export interface Recipe {
  readonly command: Command;
  /** TPM2B_PUBLIC. */
  readonly outPublic: Uint8Array;
}

// Those whose seed outlives a start.
const HIERARCHIES: ReadonlySet<number> = new Set([HANDLE.owner, HANDLE.endorsement, HANDLE.platform]);
const AUTHORIZATION_OFFSET = HANDLES_OFFSET + 4;
// One area: the password session with the empty password. Then TPM2B_SENSITIVE_CREATE with neither password nor data.
const EMPTY_PASSWORD = Uint8Array.of(0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0);
const EMPTY_SENSITIVE = Uint8Array.of(0, 4, 0, 0, 0, 0);
const PARAMETERS_OFFSET = AUTHORIZATION_OFFSET + EMPTY_PASSWORD.length;
// Header, handle, size of the parameters.
const OUT_PUBLIC_OFFSET = HANDLES_OFFSET + 8;

/** What needs a password or a session, or holds a secret, cannot be sent again and must not be kept: undefined. */
export function recipeOf(
  { code, handles }: CommandLayout,
  command: Uint8Array,
  response: Uint8Array,
): Recipe | undefined {
  const hierarchy = handles[0] ?? HANDLE.null;
  if (code !== CreatePrimary.code || !HIERARCHIES.has(hierarchy)) return undefined;
  const parameters = command.slice(PARAMETERS_OFFSET);
  const isPlain =
    bytesEqual(command.subarray(AUTHORIZATION_OFFSET, PARAMETERS_OFFSET), EMPTY_PASSWORD) &&
    bytesEqual(parameters.subarray(0, EMPTY_SENSITIVE.length), EMPTY_SENSITIVE);
  const size = u16At(response, OUT_PUBLIC_OFFSET);
  const end = OUT_PUBLIC_OFFSET + 2 + size;
  if (!isPlain || size === 0 || end > response.length) return undefined;
  return {
    command: {
      name: CreatePrimary.name,
      code,
      handles: [hierarchy],
      authorizations: ['password'],
      parameters,
      returnsHandle: true,
    },
    outPublic: response.slice(OUT_PUBLIC_OFFSET, end),
  };
}
