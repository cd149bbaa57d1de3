import { errorCode } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { authenticate, signStatement } from './authenticate.ts';
import {
  type Content,
  encodeNewViewEvidence,
  evidenceDigest,
  type SignedMessage,
  type ViewChange,
} from './message.ts';
import { createCheapSigner, verifyCheaply } from './testing/signatures.ts';

const networkId = new Uint8Array(32).fill(1);
const publicKeyOf = (id: string) => (id === 'stranger' ? undefined : createCheapSigner(id).publicKey);
const say = (sender: string, content: Content) =>
  signStatement({ networkId, sender, content, batch: [], sign: createCheapSigner(sender).sign });
const vote: Content = { kind: 'prepare', epoch: 1, view: 0, sequence: 1, digest: new Uint8Array(32) };

function codeOf(message: SignedMessage, network = networkId): string {
  try {
    authenticate({ networkId: network, message, publicKeyOf, verify: verifyCheaply });
    return 'ACCEPTED';
  } catch (error) {
    return errorCode(error);
  }
}

describe('authenticate', () => {
  test('accepts what a known sender has signed for this network', () => {
    expect(codeOf(say('a', vote).message)).toBe('ACCEPTED');
    expect(codeOf(say('a', vote).message, new Uint8Array(32))).toBe('SIGNATURE_INVALID');
  });

  test('refuses an unknown sender and a signature of somebody else', () => {
    const { message } = say('a', vote);
    expect(codeOf({ ...message, sender: 'stranger' })).toBe('SENDER_UNKNOWN');
    expect(codeOf({ ...message, sender: 'b' })).toBe('SIGNATURE_INVALID');
  });

  test('refuses a signed payload that is no statement', () => {
    const payload = Uint8Array.of(0xff);
    const { sign } = createCheapSigner('a');
    const { message } = say('a', vote);
    expect(codeOf({ ...message, payload })).toBe('SIGNATURE_INVALID');
    const garbage = { ...message, payload, signature: sign(new Uint8Array(32)) };
    expect(codeOf(garbage)).toBe('SIGNATURE_INVALID');
  });

  test('checks every view change that a new view quotes, and that the view was signed for them [CONS-16]', () => {
    const content: ViewChange = { kind: 'view-change', epoch: 1, view: 1, committed: 0, tip: null };
    const { message } = say('b', content);
    const newView = (quoted: SignedMessage): SignedMessage => {
      const viewChanges = [{ message: quoted, sender: quoted.sender, content }];
      const evidence = encodeNewViewEvidence({ viewChanges, signatures: [] });
      const said = say('a', { kind: 'new-view', epoch: 1, view: 1, evidence: evidenceDigest(evidence) });
      return { ...said.message, evidence };
    };
    expect(codeOf(newView(message))).toBe('ACCEPTED');
    expect(codeOf(newView({ ...message, sender: 'c' }))).toBe('SIGNATURE_INVALID');
    expect(codeOf(newView({ ...message, sender: 'stranger' }))).toBe('SENDER_UNKNOWN');
    expect(codeOf({ ...newView(message), evidence: newView({ ...message, sender: 'c' }).evidence })).toBe(
      'SIGNATURE_INVALID',
    );
  });
});
