import { fromUtf8, sha256 } from '@nemea/core';
import { bls12_381 } from '@noble/curves/bls12-381.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  aggregateCertificate,
  type BlsKey,
  commitBytes,
  createBlsCommittee,
  createBlsSigner,
  encodeAggregate,
  parseAggregate,
  verifyAggregate,
} from './bls.ts';
import { createConfiguration } from './configuration.ts';
import { ConsensusError } from './errors.ts';

const NETWORK_ID = new Uint8Array(32).fill(7);
const WEIGHTS = [4, 3, 3, 2, 1, 1, 1, 1, 1];
const ids = WEIGHTS.map((_, index) => `m${index}`);
const configuration = createConfiguration(
  WEIGHTS.map((weight, index) => ({ id: `m${index}`, publicKey: sha256(fromUtf8(`${index}`)), weight })),
);
const signers = new Map(
  ids.map((id) => [id, createBlsSigner(sha256(fromUtf8(`seed ${id}`)), { networkId: NETWORK_ID, id })]),
);
const committee = createBlsCommittee(configuration, NETWORK_ID, signers);
const place = { epoch: 1, view: 3, sequence: 9, digest: sha256(fromUtf8('a decision')) };
const message = commitBytes(NETWORK_ID, place);
const signedBy = (...senders: readonly string[]) =>
  senders.map((sender) => ({ sender, signature: signers.get(sender)?.sign(message) ?? new Uint8Array(96) }));
const QUORUM = ['m0', 'm1', 'm2', 'm3'];
const certificate = aggregateCertificate(committee, NETWORK_ID, place, signedBy(...QUORUM));
const withKey = (id: string, key: BlsKey) =>
  createBlsCommittee(configuration, NETWORK_ID, new Map([...signers, [id, key]]));
const keyOf = (id: string) => signers.get(id) as BlsKey;

describe('an aggregate certificate [CONS-30]', () => {
  test('shows that members that outweigh two thirds have signed, and who they are', () => {
    verifyAggregate(committee, NETWORK_ID, parseAggregate(encodeAggregate(certificate)));
    expect([...certificate.signers]).toEqual([0b1111, 0]);
    expect(encodeAggregate(certificate).length).toBeLessThan(170);
  });

  test('of two thirds and no more is none', () => {
    const few = signedBy('m0', 'm1', 'm2', 'm4');
    expect(() => aggregateCertificate(committee, NETWORK_ID, place, few)).toThrow('no quorum');
    const claimed = { ...certificate, signers: Uint8Array.of(0b10111, 0) };
    expect(() => verifyAggregate(committee, NETWORK_ID, claimed)).toThrow('no quorum');
  });

  test('is made without those who have signed something else, or nothing that is a signature', () => {
    const other = signers.get('m4')?.sign(sha256()) ?? new Uint8Array();
    const received = [
      { sender: 'm4', signature: other },
      { sender: 'm5', signature: new Uint8Array(96) },
      { sender: 'stranger', signature: other },
      ...signedBy(...QUORUM),
    ];
    expect(aggregateCertificate(committee, NETWORK_ID, place, received)).toEqual(certificate);
  });

  test.each([
    ['another digest', { digest: sha256() }],
    ['another view', { view: 4 }],
    ['another epoch', { epoch: 2 }],
    ['one more signer', { signers: Uint8Array.of(0b11111, 0) }],
    ['another signer', { signers: Uint8Array.of(0b1111, 1) }],
    ['a signer beyond the members', { signers: Uint8Array.of(0b1111, 0b10) }],
    ['a list of signers that is too long', { signers: Uint8Array.of(0b1111, 0, 0) }],
    ['the signature of one member', { signature: keyOf('m0').possession }],
    ['the point at infinity', { signature: Uint8Array.of(0xc0, ...new Uint8Array(95)) }],
    ['no point', { signature: new Uint8Array(96).fill(0xff) }],
  ])('with %s does not verify', (_what, change) => {
    expect(() => verifyAggregate(committee, NETWORK_ID, { ...certificate, ...change })).toThrow(
      ConsensusError,
    );
  });

  test('of another network does not verify', () => {
    expect(() => verifyAggregate(committee, new Uint8Array(32), certificate)).toThrow('does not verify');
  });

  test('has one encoding: any other bytes are refused, or do not verify', () => {
    const encoded = encodeAggregate(certificate);
    fc.assert(
      fc.property(fc.nat(encoded.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = encoded.slice();
        changed[at] = (changed[at] as number) ^ flip;
        expect(() => verifyAggregate(committee, NETWORK_ID, parseAggregate(changed))).toThrow(ConsensusError);
      }),
    );
    for (const bytes of [encoded.subarray(1), Uint8Array.of(...encoded, 0), new Uint8Array()]) {
      expect(() => parseAggregate(bytes)).toThrow(ConsensusError);
    }
  });
});

describe('a BLS key [CONS-30]', () => {
  const { G1, G2 } = bls12_381;

  test('that was chosen to cancel out another would sign for both, and is refused for want of possession', () => {
    const secret = 12_345n;
    const honest = G1.Point.fromBytes(keyOf('m0').publicKey);
    const rogue = G1.Point.BASE.multiply(secret).subtract(honest);
    // The danger is real: the two keys add up to the attacker's own.
    expect(rogue.add(honest).equals(G1.Point.BASE.multiply(secret))).toBe(true);
    const forged = { publicKey: rogue.toBytes(true), possession: keyOf('m1').possession };
    expect(() => withKey('m1', forged)).toThrow('does not possess');
  });

  test.each([
    ['with the possession of another key', { ...keyOf('m1'), possession: keyOf('m2').possession }],
    ['with a vote for its possession', { ...keyOf('m1'), possession: signers.get('m1')?.sign(message) }],
    [
      'that is the point at infinity',
      { ...keyOf('m1'), publicKey: Uint8Array.of(0xc0, ...new Uint8Array(47)) },
    ],
    [
      'that is not compressed',
      { ...keyOf('m1'), publicKey: G1.Point.fromBytes(keyOf('m1').publicKey).toBytes(false) },
    ],
    ['of another member', keyOf('m2')],
  ])('%s is refused', (_what, key) => {
    expect(() => withKey('m1', key as BlsKey)).toThrow(ConsensusError);
  });

  test('or a signature outside the subgroup is refused', () => {
    expect(() => withKey('m1', { ...keyOf('m1'), publicKey: strayOf(48) })).toThrow(ConsensusError);
    const signature = strayOf(96);
    expect(() => verifyAggregate(committee, NETWORK_ID, { ...certificate, signature })).toThrow(
      'does not verify',
    );
  });

  /** The compressed form of a point on the curve that is not in the subgroup of prime order. */
  function strayOf(length: 48 | 96): Uint8Array {
    const group = length === 48 ? G1 : G2;
    for (let x = 1; ; x++) {
      const bytes = new Uint8Array(length);
      bytes[0] = 0x80;
      bytes[length - 1] = x;
      try {
        if (!group.Point.fromBytes(bytes).isTorsionFree()) return bytes;
      } catch {
        // Not on the curve, or the library itself looks at the subgroup: the first such point is as good.
        if (isOnCurve(length, BigInt(x))) return bytes;
      }
    }
  }

  function isOnCurve(length: 48 | 96, x: bigint): boolean {
    try {
      if (length === 48) {
        const { Fp } = bls12_381.fields;
        Fp.sqrt(Fp.add(Fp.pow(Fp.create(x), 3n), 4n));
      } else {
        const { Fp2 } = bls12_381.fields;
        const point = Fp2.fromBigTuple([x, 0n]);
        Fp2.sqrt(Fp2.add(Fp2.mul(Fp2.mul(point, point), point), Fp2.fromBigTuple([4n, 4n])));
      }
      return true;
    } catch {
      return false;
    }
  }
});
