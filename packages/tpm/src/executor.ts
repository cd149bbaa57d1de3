import { setTimeout as sleep } from 'node:timers/promises';
import type { TpmChannel, TransmitOptions } from './channel/channel.ts';
import { type Command, decodeResponse, encodeCommand, type Response, returnCodeOf } from './command.ts';
import { TpmError } from './errors.ts';
import { RC } from './structures/return-code.ts';

/** Sends single commands. Only `Tpm.exclusive` hands one out, so its holder is alone on the TPM until it is done. */
export interface TpmIo {
  /** Throws `TPM_RETURN_CODE`, `TPM_RETRIES_EXHAUSTED`, `TPM_STRUCTURE_INVALID` or `TPM_CHANNEL_*`. */
  send(command: Command, options?: TransmitOptions): Promise<Response>;
}

const SENDS_MAX = 12;
const PAUSE_MS_MAX = 128;
// The command was not executed and should be sent again unchanged (TPM 2.0 Part 1, 11.4 and Part 2, 6.6.3).
const RESEND: ReadonlySet<number> = new Set([RC.retry, RC.yielded, RC.testing]);

export function openExecutor(channel: TpmChannel): TpmIo {
  return {
    async send(command, options) {
      const bytes = encodeCommand(command);
      let busy: unknown;
      for (let attempt = 0; attempt < SENDS_MAX; attempt++) {
        if (attempt > 0) await sleep(Math.min(2 ** (attempt - 1), PAUSE_MS_MAX));
        const response = await channel.transmit(bytes, options);
        try {
          return decodeResponse(command, response);
        } catch (error) {
          if (!RESEND.has(returnCodeOf(error) ?? RC.success)) throw error;
          busy = error;
        }
      }
      throw new TpmError(
        'TPM_RETRIES_EXHAUSTED',
        `${command.name}: tpm still busy after ${SENDS_MAX} sends`,
        {
          data: { command: command.name },
          cause: busy,
        },
      );
    },
  };
}
