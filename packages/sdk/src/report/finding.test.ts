import { CodedError } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { examine } from './finding.ts';

describe('a check', () => {
  test('that finds no lie explains why it holds', async () => {
    const findings = await examine('gas', (lies) => {
      lies.unlessEqual('settlement', 7, 7);
      return 'as in its receipt';
    });
    expect(findings).toEqual([{ check: 'gas', ok: true, detail: 'as in its receipt' }]);
  });

  test('tells each lie in a line of its own, and never explains beside it', async () => {
    const findings = await examine('gas', (lies) => {
      lies.unlessEqual('settlement', 7, 8);
      lies.unless(false, 'no receipt');
      return 'as in its receipt';
    });
    expect(findings).toEqual([
      { check: 'gas', ok: false, detail: 'settlement: got 7, want 8' },
      { check: 'gas', ok: false, detail: 'no receipt' },
    ]);
  });

  test('only counts the lies after the eighth', async () => {
    const findings = await examine('leaves', (lies) => {
      for (let leaf = 0; leaf < 12; leaf++) lies.add(`leaf ${leaf}`);
      return '';
    });
    expect(findings).toHaveLength(9);
    expect(findings.at(-1)?.detail).toBe('and 4 more');
  });

  test('calls what cannot be read a lie, by its code', async () => {
    const findings = await examine('certificate', (lies) => {
      const read = lies.parsed('it', () => {
        throw new CodedError('CLEANUP_CERTIFICATE_INVALID', 'trailing bytes');
      });
      return String(read);
    });
    expect(findings.map(({ detail }) => detail)).toEqual(['it cannot be read: CLEANUP_CERTIFICATE_INVALID']);
  });
});
