import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseEventLog } from './eventlog/index.ts';
import { type WrittenEvent, writeAgileLog } from './eventlog/testing.ts';
import { type Evidence, eventDigest, type MeasuredEvent } from './evidence.ts';
import { replayBoot, replayLog, splitRegister, startDigest } from './replay.ts';
import { appraisalOf } from './testing.ts';

const digest = fc.uint8Array({ minLength: 32, maxLength: 32 });
const nodeEvent: fc.Arbitrary<MeasuredEvent> = fc.record({
  pcr: fc.constant(14 as const),
  kind: fc.constantFrom('release' as const, 'image' as const, 'run' as const),
  digest,
  name: fc.string({ maxLength: 8 }),
});
const boot = fc.array(digest, { maxLength: 4 });
const node = fc.array(nodeEvent, { maxLength: 4 });

function eventLogOf(digests: readonly Uint8Array[]) {
  const events = digests.map((sha256): WrittenEvent => {
    return { pcr: 14, type: 'EV_IPL', data: new Uint8Array(0), digests: { sha256 } };
  });
  return parseEventLog(writeAgileLog(['sha256'], events));
}

function bootValue(digests: readonly Uint8Array[]): Uint8Array {
  const value = replayBoot(eventLogOf(digests));
  if ('problem' in value) throw new Error(value.problem);
  return value.value;
}

const { evidence } = appraisalOf();

function evidenceOf(value: Uint8Array, log: readonly MeasuredEvent[]): Evidence {
  return { ...evidence, pcrs: [{ pcr: 14, value }], log: [...log] };
}

test('a register splits where the node started, and nowhere else [ATT-30]', () => {
  fc.assert(
    fc.property(boot, node, (before, measured) => {
      const extended = [...before, startDigest(), ...measured.map((event) => eventDigest(event))];
      const value = replayLog(measured, bootValue(before));
      const splits: string[] = [];
      for (let split = 0; split <= extended.length; split++) {
        const eventLog = eventLogOf(extended.slice(0, split));
        for (let from = 0; from <= measured.length; from++) {
          const { boot } = splitRegister(evidenceOf(value, measured.slice(from)), eventLog);
          if (boot !== null) splits.push(`${split} ${from}`);
        }
      }
      expect(splits).toEqual([`${before.length} 0`]);
    }),
  );
});

test('no other boot and no other events come to the same register [ATT-30]', () => {
  fc.assert(
    fc.property(boot, node, boot, node, (before, measured, otherBefore, otherMeasured) => {
      const value = replayLog(measured, bootValue(before));
      const { boot } = splitRegister(evidenceOf(value, otherMeasured), eventLogOf(otherBefore));
      const hex = (digests: readonly Uint8Array[]) => digests.map((it) => Buffer.from(it).toString('hex'));
      const isSame =
        hex(before).join() === hex(otherBefore).join() &&
        hex(measured.map((it) => eventDigest(it))).join() ===
          hex(otherMeasured.map((it) => eventDigest(it))).join();
      expect(boot !== null).toBe(isSame);
    }),
  );
});
