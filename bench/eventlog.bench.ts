/** A firmware log of 150 events: parsed, replayed against a quote, and told, beside the hashes that a replay cannot avoid. */
import { describeBoot, parseEventLog, replayEventLog, verifyEventLog } from '@nemea/attestation/eventlog';
import { assert, sha256 } from '@nemea/core';
import { bootEvents, writeAgileLog } from '../packages/attestation/src/eventlog/testing.ts';
import { COMPUTING, race } from './measure.ts';
import { type Row, rowOf } from './row.ts';

const EVENTS = 150;
const CPU_MS_MAX = 2;

export async function benchEventLog(): Promise<Row[]> {
  const bytes = writeAgileLog(['sha1', 'sha256', 'sha384'], bootEvents(EVENTS));
  const log = parseEventLog(bytes);
  assert(log.events.length === EVENTS, 'the log has 150 events');
  const quoted = [...(replayEventLog(log).get('sha256') ?? [])].map(([pcr, value]) => {
    return { bank: 'sha256' as const, pcr, value };
  });
  const rates = await race(
    {
      judge: () => {
        const result = verifyEventLog(parseEventLog(bytes), quoted);
        assert(result.ok, 'an honest log replays');
        assert(describeBoot(result.boot).secureBoot.enabled === true, 'Secure Boot is on');
        return 1;
      },
      hashes: () => {
        let value = sha256(bytes.subarray(0, 32));
        for (const { data } of log.events) value = sha256(value, sha256(data));
        return 1;
      },
    },
    COMPUTING,
  );
  const name = 'parse, replay, verify and describe 150 events';
  const target = { of: 'value', atLeast: 1000 / CPU_MS_MAX } as const;
  const peer = { name: 'hash their data and extend one PCR', samples: rates.hashes };
  return [rowOf({ group: 'eventlog', unit: 'perS', own: { name, samples: rates.judge }, peer, target })];
}
