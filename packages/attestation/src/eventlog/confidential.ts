import { decodeEvent } from './decode.ts';
import { EVENT_TYPE } from './event-types.ts';
import type { EventLog } from './model.ts';

const CC_REGISTER_MAX = 4;

/**
 * Nothing in a log says whether it is of PCRs or of the registers of a confidential VM (UEFI 2.10, 38.4.1). Secure Boot
 * tells: its variables are in PCR 7, or in register 1. A guess for showing; a judge knows what it quoted.
 */
export function looksConfidential(log: EventLog): boolean {
  if (log.events.some(({ pcr, type }) => pcr > CC_REGISTER_MAX && type !== EVENT_TYPE.EV_NO_ACTION))
    return false;
  return log.events.some((event) => {
    if (event.pcr !== 1 || event.type !== EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG) return false;
    const { body } = decodeEvent(event);
    return body.kind === 'variable' && body.variable.name === 'SecureBoot';
  });
}
