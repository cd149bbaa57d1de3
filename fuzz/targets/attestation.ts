import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import {
  AttestationError,
  appraise,
  checkAkProfile,
  compileRule,
  type Evidence,
  encodeClockRegistry,
  encodeEvidence,
  encodeResult,
  evaluateRule,
  type Facts,
  parseClockRegistry,
  parseEvidence,
  parsePolicy,
  parseReferenceValues,
  parseResult,
  qualifyingData,
  replayLog,
  unwrapCmw,
  verifyQuote,
  wrapCmw,
} from '@nemea/attestation';
import { CORIM_CONTENT_TYPE, encodeCorim, parseCorim, parseSignedCorim } from '@nemea/attestation/corim';
import { EAR_CONTENT_TYPE, signEar, verifyEar } from '@nemea/attestation/ear';
import { parsePem, verifyEkCertificate } from '@nemea/attestation/endorsement';
import { EventLogError, parseEventLog, replayEventLog } from '@nemea/attestation/eventlog';
import { ImaError, parseImaList, replayIma } from '@nemea/attestation/ima';
import { concatBytes, fromHex, fromUtf8 } from '@nemea/core';
import { encode, parseSignature, pcrDigest, tpmlPcrSelection } from '@nemea/tpm/structures';
import { CorimError } from '../../packages/attestation/src/corim/errors.ts';
import {
  type Cbor,
  decodeTaggedCbor,
  encodeTaggedCbor,
  Tagged,
} from '../../packages/attestation/src/cose/cbor.ts';
import { CoseError } from '../../packages/attestation/src/cose/errors.ts';
import { parseCertificate } from '../../packages/attestation/src/endorsement/certificate.ts';
import { parseCrl } from '../../packages/attestation/src/endorsement/crl.ts';
import { parsePcrFile } from '../../packages/attestation/src/quote/pcr-file.ts';
import { fromPlainSignature } from '../../packages/attestation/src/quote/plain-signature.ts';
import { parseSigningKey } from '../../packages/attestation/src/quote/signing-key.ts';
import { appraisalOf, EXPECTED, encodeQuote, softwareAk } from '../../packages/attestation/src/testing.ts';
import { createAuthority, reissued, reissuedList } from '../certificates.ts';
import { afterParsing, type Target } from '../target.ts';
import { codec, json, jsonText, readJson, readVector, text } from './support.ts';

interface EvidenceVectors {
  readonly policy: unknown;
  readonly releases: readonly string[];
  readonly images: readonly string[];
  readonly cases: readonly { readonly evidence: string }[];
}

const vectors = readJson<EvidenceVectors>('attestation/evidence.json');
const identity =
  readJson<Record<'ekCertificate' | 'caRoot' | 'caIntermediate' | 'akPublic', string>>('tpm/identity.json');
const evidences = vectors.cases.map(({ evidence }) => fromHex(evidence)).filter(isEvidence);
const ak = softwareAk('fuzz');
const refusals = [AttestationError];
const digest = new Uint8Array(32).fill(7);
const nowMs = Date.UTC(2030, 0, 1);

/** TPML_PCR_SELECTION and TPML_DIGEST as tpm2-tools dump them from memory. */
function serializedPcrs(): Uint8Array {
  const file = new Uint8Array(4 + 16 * 8 + 4 + 4 + 8 * 66);
  const view = new DataView(file.buffer);
  view.setUint32(0, 1, true);
  view.setUint16(4, 0x000b, true);
  file.set([3, 0x81, 0, 0], 6);
  view.setUint32(132, 1, true);
  view.setUint32(136, 2, true);
  view.setUint16(140, 32, true);
  view.setUint16(206, 32, true);
  return file;
}

function isEvidence(bytes: Uint8Array): boolean {
  try {
    parseEvidence(bytes);
    return true;
  } catch (error) {
    if (error instanceof AttestationError) return false;
    throw error;
  }
}

const measuredEvidence = encodeEvidence({
  ...parseEvidence(evidences[0] ?? new Uint8Array(0)),
  eventLog: readVector('eventlog/ovmf-secure-boot.bin'),
  imaList: readVector('eventlog/ovmf-secure-boot.ima.bin'),
});
const permissive = parsePolicy({
  version: 1,
  levelMin: 1,
  freshness: { accept: ['challenge', 'none'] },
  firmware: {
    unmeasured: 'allow',
    secureBoot: 'any',
    keys: 'any',
    authorities: 'any',
    loaders: 'any',
    commandLine: { required: ['panic=*'], allowed: ['*'], forbidden: ['init=*'] },
  },
  ima: { files: 'any', violations: 'allow' },
  rules: [
    { id: 'loaders', expression: 'size(boot.loaders) < 1000', why: 'fuzz' },
    { id: 'pcrs', expression: "pcrs['sha256:0'] != ''", why: 'fuzz' },
  ],
});

/** The quote that an honest TPM would have given for these logs: judging goes on behind signature and replay. */
function judge(evidence: Evidence): void {
  const values = new Map<number, Uint8Array>(logValues(evidence));
  values.set(14, replayLog(evidence.log, values.get(14)));
  const zero = new Uint8Array(32);
  const numbers = permissive.pcrs.sha256;
  const pcrs = numbers.map((pcr) => ({ pcr, value: values.get(pcr) ?? zero }));
  const attest = encodeQuote({
    magic: 0xff544347,
    type: 0x8018,
    extraData: qualifyingData(EXPECTED),
    clock: 1000n,
    resetCount: 5,
    restartCount: 1,
    safe: 1,
    selection: encode(tpmlPcrSelection, [{ hashAlg: 0x000b, pcrs: numbers }]),
    pcrDigest: pcrDigest(pcrs.map(({ value }) => value)),
    trailing: new Uint8Array(0),
  });
  const { pcrsSha384: _, ...rest } = evidence;
  const honest: Evidence = { ...rest, attest, signature: ak.sign(attest), pcrs, binding: EXPECTED.binding };
  for (const judged of [honest, evidence]) {
    const result = appraise({
      ...appraisalOf({ appraisal: { policy: permissive } }),
      evidence: judged,
      endorsements: { akPublic: ak.akPublic, level: 1 },
    });
    codec(parseResult, encodeResult)(encodeResult(result));
  }
}

function logValues(evidence: Evidence): [number, Uint8Array][] {
  const values: [number, Uint8Array][] = [];
  try {
    if (evidence.eventLog !== undefined) {
      values.push(...(replayEventLog(parseEventLog(evidence.eventLog)).get('sha256') ?? []));
    }
    if (evidence.imaList !== undefined) {
      values.push(...(replayIma(parseImaList(evidence.imaList), ['sha256']).get('sha256') ?? []));
    }
  } catch (error) {
    if (!(error instanceof EventLogError || error instanceof ImaError)) throw error;
  }
  return values;
}

const intermediate = fromHex(identity.caIntermediate);
const authority = createAuthority(intermediate);
const reissuedEk = reissued(fromHex(identity.ekCertificate), authority);

function pemOf(der: Uint8Array, label: string): string {
  return `-----BEGIN ${label}-----\n${Buffer.from(der).toString('base64')}\n-----END ${label}-----\n`;
}

// `openssl ca -gencrl` (OpenSSL 3.0) of one revoked certificate, with a reason and a CRL number.
const CRL =
  '3081ed308194020101300a06082a8648ce3d040302300d310b300906035504030c026361170d323631313231313233303430' +
  '5a170d3237313132313132333034305a3025302302040badcafe170d3236303130313030303030305a300c300a0603551d15' +
  '04030a0101a02f302d301f0603551d230418301680140ceee1e924acaae25beec2ee532ae3a9dfd89a7f300a0603551d1404' +
  '03020101300a06082a8648ce3d040302034800304502210081fd26b709762675215837d778d5bc5fe27ecb689dea348737cd' +
  '9c29955fb86402203a14360425e249a39159aba92a8a0032283be26b399020dacec44a4f3968740d';
const rsaPem = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .publicKey.export({ type: 'spki', format: 'pem' })
  .toString();
const eccKey = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;
const quote = appraisalOf().evidence;
const coseKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const { x = '', y = '' } = coseKey.publicKey.export({ format: 'jwk' });
const cosePoint = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
const verifier = { algorithm: 'es256', publicKey: Uint8Array.from(cosePoint) } as const;

/** COSE_Sign1 around any payload, well signed: what is behind the signature is reached. */
function coseSigned(contentType: string, payload: Uint8Array): Uint8Array {
  const header = encodeTaggedCbor(
    new Map<Cbor, Cbor>([
      [1, -7],
      [3, contentType],
    ]),
  );
  const toBeSigned = encodeTaggedCbor(['Signature1', header, new Uint8Array(0), payload]);
  const signature = sign('sha256', toBeSigned, { key: coseKey.privateKey, dsaEncoding: 'ieee-p1363' });
  return encodeTaggedCbor(new Tagged(18, [header, new Map(), payload, Uint8Array.from(signature)]));
}

const corim = encodeCorim({
  id: 'example',
  registers: [{ environment: { vendor: 'a' }, pcr: 0, digests: [{ algorithm: 'sha256', digest }] }],
  components: [{ environment: { model: 'b' }, name: 'shim', digests: [{ algorithm: 'sha256', digest }] }],
});
const ear = await signEar(
  {
    algorithm: 'es256',
    sign: async (message) =>
      Uint8Array.from(sign('sha256', message, { key: coseKey.privateKey, dsaEncoding: 'ieee-p1363' })),
  },
  {
    verifier: { developer: 'nemea', build: '1' },
    nonce: digest,
    policyIds: ['policy'],
    result: appraise(appraisalOf()),
  },
);
const earPayload = readCose(ear);

/** The payload of a COSE_Sign1. */
function readCose(bytes: Uint8Array): Uint8Array {
  const message = decodeTaggedCbor(bytes, [18]);
  const parts = message instanceof Tagged && Array.isArray(message.value) ? message.value : [];
  const payload = parts[2];
  if (!(payload instanceof Uint8Array)) throw new Error('no payload');
  return payload;
}

const facts: Facts = {
  level: 1n,
  clock: { safe: true, resetCount: 1n },
  pcrs: { 'sha256:0': '00' },
  boot: { loaders: ['a', 'b'], commandLines: ['quiet'], secureBoot: 'on' },
  ima: { files: [{ path: '/a', digest: 'sha256:00' }] },
  releases: ['00'],
  images: [],
};

export const targets: readonly Target[] = [
  {
    name: 'attestation/evidence',
    form: 'cbor',
    seeds: [...evidences.slice(0, 8), measuredEvidence],
    run: codec(parseEvidence, encodeEvidence),
    refusals,
    inputBytesMax: 32_768,
  },
  {
    name: 'attestation/appraise',
    form: 'cbor',
    seeds: [measuredEvidence, ...evidences.slice(0, 3)],
    run: afterParsing(parseEvidence, judge),
    refusals,
    inputBytesMax: 32_768,
  },
  {
    name: 'attestation/result',
    form: 'cbor',
    seeds: [Uint8Array.from(encodeResult(appraise(appraisalOf())))],
    run: codec(parseResult, encodeResult),
    refusals,
    inputBytesMax: 16_384,
  },
  {
    name: 'attestation/policy',
    form: 'json',
    seeds: [json(vectors.policy), json(permissive), json({ version: 1, levelMin: 2 })],
    run: jsonText(parsePolicy),
    refusals,
  },
  {
    name: 'attestation/rule',
    seeds: [
      "level >= 2 && clock.safe == true && pcrs['sha256:0'] != ''",
      "boot.loaders.all(l, l.startsWith('/EFI')) || ima.files.exists(f, f.path.matches('^/usr'))",
      "size(releases) == 1 ? releases[0] == 'x' : !('y' in images)",
      '(1 + 2 * 3 - 4 / 5 % 6) < 7 && [1, 2].map(x, x * 2)[0] == 2',
    ].map(fromUtf8),
    run: text((rule) => {
      compileRule(rule);
      try {
        evaluateRule(rule, facts);
      } catch (cause) {
        throw new Error('a rule that compiles throws', { cause });
      }
    }),
    refusals,
  },
  {
    name: 'attestation/reference-values',
    form: 'json',
    seeds: [
      json({ releases: vectors.releases, images: vectors.images }),
      json({
        version: 1,
        releases: [],
        images: [],
        components: [{ kind: 'pcr', name: 'sha256:7', digests: [`sha256:${'00'.repeat(32)}`] }],
      }),
    ],
    run: jsonText(parseReferenceValues),
    refusals,
  },
  {
    name: 'attestation/clock-registry',
    form: 'cbor',
    seeds: [
      encodeClockRegistry(
        new Map([[`000b${'11'.repeat(32)}`, { clock: 5n, resetCount: 1, restartCount: 0 }]]),
      ),
    ],
    run: codec(parseClockRegistry, encodeClockRegistry),
    refusals,
  },
  {
    name: 'attestation/cmw',
    form: 'cbor',
    seeds: [
      wrapCmw({ type: 'application/example+cbor', value: digest, indicator: 4 }, 'cbor'),
      wrapCmw({ type: 60, value: digest }, 'cbor'),
      wrapCmw({ type: 60, value: digest }, 'tag'),
      wrapCmw({ type: 'application/example', value: digest }, 'json'),
    ],
    run(input) {
      const first = input[0] ?? 0;
      const form = first === 0x5b ? 'json' : first >> 5 === 6 ? 'tag' : 'cbor';
      codec(unwrapCmw, (cmw) => wrapCmw(cmw, form))(input);
    },
    refusals,
  },
  {
    name: 'attestation/corim',
    form: 'cbor',
    seeds: [corim],
    run: (input) => void parseCorim(input),
    refusals: [CorimError],
  },
  {
    name: 'attestation/cose',
    form: 'cbor',
    seeds: [coseSigned(CORIM_CONTENT_TYPE, corim)],
    run: (input) => void parseSignedCorim(input, verifier),
    refusals: [CorimError, CoseError],
  },
  {
    name: 'attestation/ear',
    form: 'cbor',
    seeds: [earPayload],
    run: (input) => void verifyEar(coseSigned(EAR_CONTENT_TYPE, input), verifier),
    refusals: [CoseError, AttestationError],
    inputBytesMax: 16_384,
  },
  {
    name: 'attestation/certificate',
    form: 'der',
    seeds: [identity.ekCertificate, identity.caRoot, identity.caIntermediate].map((hex) => fromHex(hex)),
    run: (input) => void parseCertificate(input),
    refusals,
  },
  {
    name: 'attestation/crl',
    form: 'der',
    seeds: [fromHex(CRL)],
    run: (input) => void parseCrl(input),
    refusals,
  },
  {
    // A TBSCertificate, signed by an authority that is trusted here.
    name: 'attestation/ek-chain',
    form: 'der',
    seeds: [reissuedEk, reissued(intermediate, authority)],
    run(input) {
      const chain = [authority.issue(input)];
      const roots = [{ certificate: authority.certificate, levelMax: 1 }] as const;
      verifyEkCertificate({ chain, roots, nowMs });
    },
    refusals,
  },
  {
    // A TBSCertList, signed by the authority of a good certificate.
    name: 'attestation/revocation',
    form: 'der',
    seeds: [reissuedList(fromHex(CRL), authority)],
    run(input) {
      const chain = [authority.issue(reissuedEk)];
      const roots = [{ certificate: authority.certificate, levelMax: 1 }] as const;
      const revocation = { crls: [authority.issue(input)], staleMs: 100 * 365 * 86_400_000 };
      verifyEkCertificate({ chain, roots, nowMs, revocation });
    },
    refusals,
  },
  {
    name: 'attestation/pem',
    seeds: [fromUtf8(`${pemOf(intermediate, 'CERTIFICATE')}${pemOf(fromHex(CRL), 'X509 CRL')}`)],
    run(input) {
      parsePem(input, 'CERTIFICATE');
      parsePem(input, 'X509 CRL');
    },
    refusals,
  },
  {
    name: 'attestation/signing-key',
    form: 'der',
    seeds: [
      fromUtf8(rsaPem),
      Uint8Array.from(eccKey.export({ type: 'spki', format: 'der' })),
      Uint8Array.from(createPublicKey(rsaPem).export({ type: 'pkcs1', format: 'der' })),
      authority.certificate,
      intermediate,
      fromHex(identity.akPublic),
      concatBytes(fromHex('0058'), fromHex(identity.akPublic)),
    ],
    run: (input) => void parseSigningKey(input),
    refusals,
  },
  {
    name: 'attestation/plain-signature',
    form: 'der',
    seeds: [Uint8Array.from(sign('sha256', digest, coseKey.privateKey))],
    run(input) {
      parseSignature(fromPlainSignature(input, 'ecdsa-sha256'));
    },
    refusals,
  },
  {
    name: 'attestation/pcr-file',
    seeds: [
      json({ sha256: { 0: '00'.repeat(32), 7: '11'.repeat(32) } }),
      new Uint8Array(64).fill(9),
      serializedPcrs(),
    ],
    run: (input) => void parsePcrFile(input, [{ hashAlg: 0x000b, pcrs: [0, 7] }]),
    refusals,
  },
  {
    name: 'attestation/ak-profile',
    seeds: [fromHex(identity.akPublic)],
    run: (input) => void checkAkProfile(input),
    refusals,
  },
  {
    // A quote refused is an answer, not an error: nothing may throw, whoever signed.
    name: 'attestation/quote',
    seeds: [quote.attest, quote.signature],
    run(input) {
      const nonce = qualifyingData(EXPECTED);
      verifyQuote({ attest: input, signature: ak.sign(input), key: ak.akPublic, nonce });
      verifyQuote({ attest: quote.attest, signature: input, key: ak.akPublic, nonce });
    },
    refusals: [],
  },
];
