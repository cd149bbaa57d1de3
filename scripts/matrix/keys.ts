import {
  type Appraisal,
  checkAkPublic,
  checkVrfCertification,
  type VrfCertification,
} from '@nemea/attestation';
import { softwareAk } from '@nemea/attestation/testing';
import { ALG, OBJECT_ATTRIBUTE, TEMPLATES } from '@nemea/tpm/structures';
import { cuts, flips, longer } from './bytes.ts';
import { codeOfAppraisal, recordedMachine } from './machine.ts';
import { IDENTITY, recordedAttestation } from './recorded.ts';
import { accepts, type Row, rowsOf, type Tampering } from './row.ts';

/** Where the fields of a TPMT_PUBLIC on P-256 are: no policy, no symmetric cipher, no KDF (Part 2, 12.2.4). */
const AT = {
  type: [0, 2],
  nameAlg: [2, 4],
  attributes: [4, 8],
  policySize: [8, 10],
  symmetric: [10, 12],
  scheme: [12, 14],
  schemeHash: [14, 16],
  curve: [16, 18],
  kdf: [18, 20],
  xSize: [20, 22],
  x: [22, 54],
  y: [56, 88],
} as const;

const { fixedTpm, fixedParent, sensitiveDataOrigin, restricted, decrypt, sign } = OBJECT_ATTRIBUTE;

function toggled(area: Uint8Array, attribute: number): Uint8Array {
  const changed = area.slice();
  const view = new DataView(changed.buffer, changed.byteOffset);
  view.setUint32(AT.attributes[0], view.getUint32(AT.attributes[0]) ^ attribute);
  return changed;
}

const profile: readonly Tampering<Uint8Array>[] = [
  ...Object.entries(AT)
    .filter(([name]) => name !== 'x' && name !== 'y')
    .map(
      ([name, [start, end]]): Tampering<Uint8Array> => [
        `with any bit of its ${name} flipped`,
        'AK_PUBLIC_INVALID',
        'ATT-23',
        (it) => flips(it, start, end),
      ],
    ),
  ['cut at every byte', 'AK_PUBLIC_INVALID', 'ATT-23', (it) => cuts(it)],
  ['with a byte after its end', 'AK_PUBLIC_INVALID', 'ATT-23', longer],
  ['that is a template without a key', 'AK_PUBLIC_INVALID', 'ATT-23', () => TEMPLATES.ak],
  ['that is the endorsement key', 'AK_PUBLIC_INVALID', 'ATT-23', () => IDENTITY.ekPublic],
  ['that is the VRF key', 'AK_PUBLIC_INVALID', 'ATT-23', () => IDENTITY.vrfPublic],
];

const withAk =
  (change: (akPublic: Uint8Array) => Uint8Array | readonly Uint8Array[]) =>
  (it: Appraisal): Appraisal[] => {
    const changed = change(it.endorsements.akPublic);
    return (changed instanceof Uint8Array ? [changed] : changed).map((akPublic) => ({
      ...it,
      endorsements: { ...it.endorsements, akPublic },
    }));
  };
const without = (name: string, attribute: number): Tampering<Appraisal> => [
  `without ${name}`,
  'AK_PUBLIC_INVALID',
  'ATT-23',
  withAk((it) => toggled(it, attribute)),
];

const judged: readonly Tampering<Appraisal>[] = [
  without('fixedTPM', fixedTpm),
  without('fixedParent', fixedParent),
  without('sensitiveDataOrigin', sensitiveDataOrigin),
  without('restricted', restricted),
  without('sign', sign),
  ['with decrypt', 'AK_PUBLIC_INVALID', 'ATT-23', withAk((it) => toggled(it, decrypt))],
  [
    'without a scheme of its own',
    'AK_PUBLIC_INVALID',
    'ATT-23',
    withAk((it) => new Uint8Array([...it.slice(0, 12), 0, 0x10, ...it.slice(16)])),
  ],
  ['by SHA-1', 'AK_PUBLIC_INVALID', 'ATT-23', withAk((it) => it.with(AT.schemeHash[1] - 1, ALG.sha1))],
  ['of another TPM', 'SIGNATURE_WRONG', 'ATT-4', withAk(() => softwareAk('another TPM').akPublic)],
  [
    'with any bit of its point flipped',
    'SIGNATURE_WRONG',
    'ATT-4',
    withAk((it) => [...flips(it, ...AT.x), ...flips(it, ...AT.y)]),
  ],
];

function recordedCertification(): VrfCertification {
  const { attest, signature, qualifyingData } = recordedAttestation('certify');
  return { attest, signature, qualifyingData, akPublic: IDENTITY.akPublic, vrfPublic: IDENTITY.vrfPublic };
}

const vrf =
  (change: (vrfPublic: Uint8Array) => Uint8Array | readonly Uint8Array[]) =>
  (it: VrfCertification): VrfCertification[] => {
    const changed = change(it.vrfPublic);
    return (changed instanceof Uint8Array ? [changed] : changed).map((vrfPublic) => ({ ...it, vrfPublic }));
  };
const pointOf = (area: Uint8Array): Uint8Array => area.slice(-68);

const certifications: readonly Tampering<VrfCertification>[] = [
  [
    'of a VRF key without fixedTPM, which may be exported',
    'VRF_PUBLIC_INVALID',
    'ATT-16',
    vrf((it) => toggled(it, fixedTpm)),
  ],
  ['of a VRF key without fixedParent', 'VRF_PUBLIC_INVALID', 'ATT-16', vrf((it) => toggled(it, fixedParent))],
  [
    'of a VRF key that somebody brought to the TPM',
    'VRF_PUBLIC_INVALID',
    'ATT-16',
    vrf((it) => toggled(it, sensitiveDataOrigin)),
  ],
  ['of a VRF key with restricted', 'VRF_PUBLIC_INVALID', 'ATT-16', vrf((it) => toggled(it, restricted))],
  ['of a VRF key without sign', 'VRF_PUBLIC_INVALID', 'ATT-16', vrf((it) => toggled(it, sign))],
  ['of a VRF key with decrypt', 'VRF_PUBLIC_INVALID', 'ATT-16', vrf((it) => toggled(it, decrypt))],
  [
    'of a VRF key of another scheme',
    'VRF_PUBLIC_INVALID',
    'ATT-16',
    vrf((it) => it.with(AT.scheme[1] - 1, ALG.ecschnorr)),
  ],
  ['of a VRF key on another curve', 'VRF_PUBLIC_INVALID', 'ATT-16', vrf((it) => it.with(19, 4))],
  [
    'of a VRF key off the curve',
    'VRF_PUBLIC_INVALID',
    'ATT-16',
    vrf((it) => it.with(-1, (it.at(-1) ?? 0) ^ 1)),
  ],
  [
    'of another key of the same kind',
    'CERTIFY_INVALID',
    'ATT-16',
    vrf((it) => new Uint8Array([...it.slice(0, -68), ...pointOf(IDENTITY.akPublic)])),
  ],
  ['of the attestation key itself', 'VRF_PUBLIC_INVALID', 'ATT-16', vrf(() => IDENTITY.akPublic)],
  [
    'by another attestation key',
    'CERTIFY_INVALID',
    'ATT-16',
    (it) => ({ ...it, akPublic: softwareAk('another TPM').akPublic }),
  ],
  ['by the VRF key itself', 'AK_PUBLIC_INVALID', 'ATT-16', (it) => ({ ...it, akPublic: it.vrfPublic })],
  [
    'for another account',
    'CERTIFY_INVALID',
    'ATT-16',
    (it) => flips(it.qualifyingData, 0, 32).map((qualifyingData) => ({ ...it, qualifyingData })),
  ],
  [
    'with any bit of the statement flipped',
    'CERTIFY_INVALID',
    'ATT-16',
    (it) => flips(it.attest, 0, it.attest.length).map((attest) => ({ ...it, attest })),
  ],
  [
    'with any bit of r or s flipped',
    'CERTIFY_INVALID',
    'ATT-16',
    (it) =>
      [...flips(it.signature, 6, 38), ...flips(it.signature, 40, 72)].map((signature) => ({
        ...it,
        signature,
      })),
  ],
  [
    'that is a quote by the same key',
    'CERTIFY_INVALID',
    'ATT-16',
    (it) => ({ ...it, ...statementOf('quote') }),
  ],
  [
    'that is a GetTime by the same key',
    'CERTIFY_INVALID',
    'ATT-16',
    (it) => ({ ...it, ...statementOf('get-time') }),
  ],
];

function statementOf(name: 'quote' | 'get-time') {
  const { attest, signature } = recordedAttestation(name);
  return { attest, signature };
}

export const keyRows: readonly Row[] = [
  ...rowsOf(
    {
      artefact: 'an attestation key',
      by: 'checkAkPublic',
      honest: () => IDENTITY.akPublic,
      judge: accepts(checkAkPublic),
    },
    profile,
  ),
  ...rowsOf(
    {
      artefact: 'an attestation key',
      by: 'appraise',
      honest: () => recordedMachine('ovmf-kernel'),
      judge: codeOfAppraisal,
    },
    judged,
  ),
  ...rowsOf(
    {
      artefact: 'a certification',
      by: 'checkVrfCertification',
      honest: recordedCertification,
      judge: accepts(checkVrfCertification),
    },
    certifications,
  ),
];
