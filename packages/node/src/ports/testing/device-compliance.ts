import {
  appraise,
  checkVrfCertification,
  collectEvidence,
  encodeEvidence,
  LEVEL,
  parseEvidence,
} from '@nemea/attestation';
import { beginEnrolment, checkActivation, verifyEkCertificate } from '@nemea/attestation/enrolment';
import { assert, bytesEqual, errorCode, sha256, toHex } from '@nemea/core';
import { judgingPolicy } from '@nemea/membership';
import { makeCredential } from '@nemea/tpm';
import { compressedPoint, nameOf, parsePublicArea } from '@nemea/tpm/structures';
import { verifyVrf } from '@nemea/vrf';
import { peerIdOf } from '../../peers/peer-id.ts';
import type { Device } from '../device.ts';
import type { ComplianceCase } from './journal-compliance.ts';

const digest = (text: string): Uint8Array => sha256(new TextEncoder().encode(text));

/** The suite for a device: what peers will believe of it at the time `nowMs`. `device` is open, and stays open. */
export function deviceCompliance(device: () => Device, nowMs: () => number): ComplianceCase[] {
  const networkId = digest('network');
  const evidenceOver = (challenge: Uint8Array) => {
    const { tpm, identity, measured, eventLog } = device();
    return collectEvidence({
      tpm,
      identity,
      log: measured,
      networkId,
      challenge,
      binding: digest('b'),
      eventLog,
    });
  };
  const judge = (evidence: Uint8Array, challenge: Uint8Array, images: readonly Uint8Array[] = []) =>
    appraise({
      evidence: parseEvidence(evidence),
      endorsements: { akPublic: device().identity.akPublic, level: LEVEL.development },
      referenceValues: {
        releases: new Set([toHex(device().release.digest)]),
        images: new Set(images.map(toHex)),
      },
      policy: judgingPolicy,
      expected: { networkId, challenge, binding: digest('b') },
      nowMs: 0,
    });
  return [
    {
      title: 'shows evidence that the judge accepts, of the release that it measured',
      async run() {
        const evidence = encodeEvidence(await evidenceOver(digest('nonce')));
        const { verdict } = judge(evidence, digest('nonce'));
        assert(verdict !== 'contraindicated', `verdict: got ${verdict}`);
      },
    },
    {
      title: 'binds its evidence to the challenge',
      async run() {
        const evidence = encodeEvidence(await evidenceOver(digest('nonce')));
        const { verdict } = judge(evidence, digest('another nonce'));
        assert(verdict === 'contraindicated', `verdict: got ${verdict}, want contraindicated`);
      },
    },
    {
      title: 'tells of whatever is measured later',
      async run() {
        const image = digest('image');
        await device().measured.measure({ kind: 'image', digest: image, name: 'image' });
        const evidence = encodeEvidence(await evidenceOver(digest('nonce')));
        assert(judge(evidence, digest('nonce'), [image]).verdict !== 'contraindicated', 'an approved image');
        assert(
          judge(evidence, digest('nonce')).verdict === 'contraindicated',
          'an image that nobody approved',
        );
      },
    },
    {
      title: 'has a clock that goes on',
      async run() {
        const first = judge(encodeEvidence(await evidenceOver(digest('1'))), digest('1')).clock;
        const second = judge(encodeEvidence(await evidenceOver(digest('2'))), digest('2')).clock;
        assert(first !== null && second !== null, 'a clock is in each quote');
        assert(second.resetCount === first.resetCount, 'nothing was reset between');
        assert(second.clock >= first.clock, `clock: got ${second.clock} after ${first.clock}`);
      },
    },
    {
      title: 'draws by a VRF key that its attestation key certifies',
      async run() {
        const { identity } = device();
        const alpha = digest('alpha');
        const area = parsePublicArea(identity.vrfPublic);
        assert(area.type === 'ecc', 'the VRF key is an ECC key');
        const { beta, proof } = await identity.vrfProve(alpha);
        assert(
          bytesEqual(verifyVrf(compressedPoint(area), alpha, proof), beta),
          'the proof is of its output',
        );
        const again = await identity.vrfProve(alpha);
        assert(bytesEqual(again.beta, beta), 'one input has one output');
        const { attest, signature } = await identity.certifyVrf(digest('purpose'));
        const { akPublic, vrfPublic } = identity;
        checkVrfCertification({ attest, signature, akPublic, vrfPublic, qualifyingData: digest('purpose') });
      },
    },
    {
      title:
        'has an endorsement key that its chain vouches for, and that activates what is for its own key only',
      async run() {
        const { ekChain, identity } = device();
        const root = ekChain.at(-1);
        assert(root !== undefined, 'there is a chain');
        const endorsement = verifyEkCertificate({
          chain: ekChain,
          roots: [{ certificate: root, levelMax: LEVEL.development }],
          nowMs: nowMs(),
        });
        const { ekPublic, akPublic } = identity;
        const enrolment = beginEnrolment({ ekPublic, endorsement, akPublic, secret: digest('secret') });
        const secret = await identity.activateCredential(enrolment.credential);
        assert(checkActivation(enrolment, secret), 'the secret comes back');
        const ofOther = makeCredential(ekPublic, nameOf(identity.vrfPublic), digest('secret'));
        const refusal = await identity.activateCredential(ofOther).then(() => 'OK', errorCode);
        assert(refusal === 'TPM_CREDENTIAL_REFUSED', `a credential for another key: got ${refusal}`);
      },
    },
    {
      title: 'signs with the key that its PeerId follows from',
      run() {
        const { peerKey, peerId, sign, verifySignature } = device();
        const message = digest('message');
        assert(verifySignature(peerKey, message, sign(message)), 'the signature verifies');
        assert(!verifySignature(peerKey, digest('other'), sign(message)), 'and for this message only');
        assert(peerIdOf(peerKey) === peerId, 'the PeerId is of this key');
      },
    },
  ];
}
