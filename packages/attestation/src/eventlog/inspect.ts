import type { Bank } from './algorithms.ts';
import { decodeEvent } from './decode.ts';
import { isConstant } from './empty-digests.ts';
import { EVENT_TYPE } from './event-types.ts';
import { measuredPart, standardPart } from './measured.ts';
import type { EventLog, Finding, RawEvent } from './model.ts';
import type { QuirkId } from './quirks.ts';
import { isExtended } from './replay.ts';

/** Every oddity of a log: those of its frame, of the bodies, and digests that are not those of the data. [LOG-16] */
export function inspectEventLog(log: EventLog): Finding[] {
  const findings = [...log.findings];
  for (const event of log.events) {
    const find = (quirk: QuirkId, message: string): void => {
      findings.push({ quirk, event: event.number, message });
    };
    if (/^EV_0x/.test(event.typeName)) find('type-unknown', `type ${event.typeName}`);
    inspectBody(event, find);
    if (isExtended(event)) inspectDigests(event, log.banks, find);
  }
  if (log.registers === 'pcr') findings.push(...missingSeparators(log));
  return findings;
}

type Find = (quirk: QuirkId, message: string) => void;

function inspectBody(event: RawEvent, find: Find): void {
  const { body, problem } = decodeEvent(event);
  if (problem !== null)
    find(body.kind === 'opaque' ? 'body-undecodable' : 'body-odd', `${event.typeName}: ${problem}`);
  if (event.type !== EVENT_TYPE.EV_SEPARATOR) return;
  if (event.data.length !== 4) find('separator-size', `separator of ${event.data.length} bytes`);
  if (body.kind === 'separator' && body.meaning === 'error') find('separator-error', `PCR ${event.pcr}`);
}

/** One finding for all banks that agree: firmware measures the same bytes into each. */
function inspectDigests(event: RawEvent, banks: readonly Bank[], find: Find): void {
  const want = standardPart(event.type);
  if (want === null) return;
  const present = banks.filter((bank) => {
    const digest = event.digests[bank];
    return digest !== undefined && !isConstant(digest);
  });
  const found = Map.groupBy(present, (bank) => measuredPart(event, bank)?.part ?? null);
  for (const [got, agreeing] of found) {
    if (got === want) continue;
    const where = `${event.typeName} (${agreeing.join(', ')})`;
    if (got === 'separator-error')
      find('separator-error', `PCR ${event.pcr}: the digest is that of an error`);
    else if (got === null) find('digest-mismatch', `${where}: the digest is not that of the ${want}`);
    else find('digest-of-other-part', `${where}: the digest covers ${got}, not ${want}`);
  }
}

/** PCR 0 to 7 are each closed by a separator before anything of the operating system runs (TCG PFP 1.06, 8.2.4). */
function missingSeparators(log: EventLog): Finding[] {
  const [extended, closed] = [new Set<number>(), new Set<number>()];
  for (const event of log.events) {
    if (!isExtended(event) || event.pcr > 7) continue;
    extended.add(event.pcr);
    if (event.type === EVENT_TYPE.EV_SEPARATOR) closed.add(event.pcr);
  }
  return [...extended]
    .filter((pcr) => !closed.has(pcr))
    .map((pcr) => ({ quirk: 'separator-missing', event: null, message: `PCR ${pcr} has no separator` }));
}
