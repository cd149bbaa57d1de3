import { bytesEqual, u32At } from '@nemea/core';
import { TpmError } from '../errors.ts';
import { HEADER_BYTES, serialChannel, type TpmChannel } from './channel.ts';

/** A command as it went over the wire, and what came back. */
export interface Exchange {
  readonly command: Uint8Array;
  readonly response: Uint8Array;
}

/**
 * Passes everything on to `channel` and keeps it in `recording`. For tests and for reading along: what crosses the wire
 * in clear is in the recording in clear, and it grows without limit.
 */
export function recordChannel(channel: TpmChannel, recording: Exchange[]): TpmChannel {
  return {
    get isOpen() {
      return channel.isOpen;
    },
    isManaged: channel.isManaged ?? false,
    async transmit(command, options) {
      const response = await channel.transmit(command, options);
      // Copies: whoever holds the arrays may change them.
      recording.push({ command: command.slice(), response: response.slice() });
      return response;
    },
    close: () => channel.close(),
  };
}

/**
 * A TPM that knows one conversation: it answers the recorded commands in their order. Any other command throws
 * `TPM_REPLAY_MISMATCH` and closes the channel, because what follows would be another conversation.
 */
export function replayChannel(recording: readonly Exchange[]): TpmChannel {
  let position = 0;
  return serialChannel({
    isOpen: true,
    async exchange(command) {
      const next = recording[position];
      if (next === undefined || !bytesEqual(next.command, command)) {
        throw mismatch(position, next?.command, command);
      }
      position++;
      return next.response.slice();
    },
    close: () => Promise.resolve(),
  });
}

// Command codes only: the parameters may hold a secret.
function mismatch(position: number, wanted: Uint8Array | undefined, got: Uint8Array): TpmError {
  const want = wanted === undefined ? 'nothing more' : codeOf(wanted);
  return new TpmError(
    'TPM_REPLAY_MISMATCH',
    `replay, exchange ${position}: got ${codeOf(got)} (${got.length} bytes), want ${want}`,
    { data: { position } },
  );
}

function codeOf(command: Uint8Array): string {
  return command.length < HEADER_BYTES ? 'no command' : `command 0x${u32At(command, 6).toString(16)}`;
}
