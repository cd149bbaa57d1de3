import { fromHex, toHex } from '@nemea/core';
import type { Vote } from '@nemea/membership';
import { voteDigest, voteTypedData } from '@nemea/sdk';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { voteMessageCodec } from './protocol.ts';
import { network, overlayOf, TestChain, type TestNode, testContext, testNode, testNodes } from './testing.ts';
import { isCanonicalSignature, Votes } from './votes.ts';

const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const nodes = testNodes(4) as [TestNode, TestNode, TestNode, TestNode];
const [self, second, third] = nodes;
const vote: Vote = { type: 'DisputeVerdict', disputeId: new Uint8Array(32).fill(5), guilty: false };
const signatureOf = ({ signer }: TestNode) => signer.signTypedData(voteTypedData(network, vote));
const messageOf = (signature: string) =>
  voteMessageCodec.encode({ digest: fromHex(voteDigest(network, vote)), signature });

/** The same signature as anybody can rewrite it: it recovers to the same signer, and the contract refuses it. */
function flipped(signature: string): string {
  const s = CURVE_ORDER - BigInt(`0x${signature.slice(66, 130)}`);
  const v = signature.endsWith('1b') ? '1c' : '1b';
  return `${signature.slice(0, 66)}${s.toString(16).padStart(64, '0')}${v}`;
}

describe('votes', () => {
  let votes: Votes;

  beforeEach(() => {
    const overlay = overlayOf(() => Promise.reject(new Error('not part of this test')));
    votes = new Votes(testContext(self, new TestChain(nodes), { overlay: () => overlay }), () => undefined);
  });
  afterEach(() => votes.close());

  it('take only the one form of a signature that the contract takes', async () => {
    const signature = await signatureOf(second);
    expect(isCanonicalSignature(signature)).toBe(true);
    expect(isCanonicalSignature(flipped(signature))).toBe(false);
    const recoveryBit = signature.endsWith('1b') ? '00' : '01';
    expect(isCanonicalSignature(`${signature.slice(0, 130)}${recoveryBit}`)).toBe(false);
  });

  it('keep the signature of a member when another rewrites it', async () => {
    await votes.cast(vote);
    for (const node of [second, third]) {
      votes.receive(`mallory of ${node.account}`, messageOf(flipped(await signatureOf(node))));
      votes.receive(node.account, messageOf(await signatureOf(node)));
    }
    const wanted = await Promise.all([self, second, third].map(signatureOf));
    expect([...((await votes.certificate(vote)) ?? [])].sort()).toEqual(wanted.sort());
  });

  it('count every early signature, though strangers sent theirs first', async () => {
    votes.receive('stranger', messageOf(await signatureOf(testNode('stranger'))));
    votes.receive('garbage', messageOf(`0x${toHex(new Uint8Array(65).fill(0xff))}`));
    for (const node of [second, third]) votes.receive(node.account, messageOf(await signatureOf(node)));
    await votes.cast(vote);
    expect(await votes.certificate(vote)).toHaveLength(3);
  });
});
