import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { baseReturnCode, decodeReturnCode, RC, returnCodeName } from './return-code.ts';

describe('response codes', () => {
  it.each([
    [0x922, 'RETRY'],
    [0x128, 'PCR_CHANGED'],
    [0x99d, 'POLICY_FAIL (session 1)'],
    [0x2d5, 'SIZE (parameter 2)'],
    [0x185, 'HIERARCHY (handle 1)'],
    [0x095, 'SIZE'],
    [0x911, 'REFERENCE_H1 (handle 2)'],
    [0x918, 'REFERENCE_S0 (session 1)'],
    [0x7f, 'UNKNOWN'],
  ])('names 0x%s', (code, name) => {
    expect(returnCodeName(code)).toBe(name);
  });

  it.each([
    [0x101, { kind: 'error', layer: 0 }],
    [0x922, { kind: 'warning', layer: 0 }],
    [0x501, { kind: 'vendor', name: 'UNKNOWN' }],
    [0x5d5, { kind: 'error', name: 'SIZE', accused: { kind: 'parameter', number: 5 } }],
    [0xfd5, { kind: 'error', accused: { kind: 'parameter', number: 15 } }],
    [0x1f0, { kind: 'error', name: 'CHANNEL', accused: { kind: 'parameter', number: 1 } }],
    [0xb8e, { kind: 'error', name: 'AUTH_FAIL', accused: { kind: 'session', number: 3 } }],
    [0x01e, { kind: 'error', name: 'BAD_TAG' }],
  ])('takes 0x%s apart', (code, parts) => {
    expect(decodeReturnCode(code)).toMatchObject(parts);
  });

  it('knows a resource manager’s answer from the TPM’s', () => {
    // What Linux answers for a command that the TPM behind /dev/tpmrm0 does not have.
    expect(decodeReturnCode(0xb0143)).toMatchObject({ layer: 11, name: 'COMMAND_CODE', kind: 'error' });
  });

  it('have one name each', () => {
    const names = Object.values(RC).map((code) => decodeReturnCode(code).name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).not.toContain('UNKNOWN');
  });

  it('are all answered, whatever the number', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), (code) => {
        const { accused, kind } = decodeReturnCode(code);
        expect(['error', 'warning', 'vendor']).toContain(kind);
        expect(accused?.number ?? 1).toBeGreaterThan(0);
      }),
    );
  });

  it('keep their base, whatever they accuse', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(RC.size, RC.value, RC.handle),
        fc.nat(15),
        fc.boolean(),
        (base, number, isParameter) => {
          expect(baseReturnCode(base | (number << 8) | (isParameter ? 0x40 : 0))).toBe(base);
        },
      ),
    );
  });
});
