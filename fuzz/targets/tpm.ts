import { ByteWriter, concatBytes, fromHex } from '@nemea/core';
import { makeCredential } from '@nemea/tpm';
import * as commands from '@nemea/tpm/commands';
import {
  type Codec,
  decode,
  decodeReturnCode,
  encode,
  encodeAttest,
  encodePublicArea,
  encodeSignature,
  nameOf,
  parseAnyPublicArea,
  parseAttest,
  parsePublicArea,
  parseSignature,
  returnCodeName,
  TpmError,
  toSpki,
  tpmlAlg,
  tpmlDigest,
  tpmlDigestValues,
  tpmlPcrSelection,
  tpmsCapabilityData,
  tpmsContext,
  tpmsCreationData,
  tpmsEccPoint,
  tpmsNvPublic,
  tpmsSensitiveCreate,
  tpmsTimeInfo,
  tpmtPublicParms,
  tpmtSensitive,
  tpmtSigScheme,
  tpmtSymDef,
  tpmtTkAuth,
  tpmtTkCreation,
  tpmtTkHashCheck,
  tpmtTkVerified,
} from '@nemea/tpm/structures';
import { decodeResponse } from '../../packages/tpm/src/command.ts';
import { encodeSealedBlob, parseSealedBlob } from '../../packages/tpm/src/sealed-blob.ts';
import { type Fields, type StructOf, struct } from '../../packages/tpm/src/structures/codec.ts';
import { afterParsing, type Target } from '../target.ts';
import { codec, readJson } from './support.ts';

interface Attested {
  readonly attest: string;
  readonly signature: string;
}

const identity = readJson<Record<'ekPublic' | 'akPublic' | 'vrfPublic', string>>('tpm/identity.json');
const attestations = readJson<readonly Attested[]>('tpm/attestations.json');
const refusals = [TpmError];
const digest = new Uint8Array(32).fill(7);
const ticket = { hierarchy: 0x40000001, digest };
const pcrs = [{ hashAlg: 0x000b, pcrs: [0, 7, 14] }];
const clockInfo = { clock: 5n, resetCount: 1, restartCount: 2, safe: true };

/** A structure, the bytes of an example, and a check that its bytes come back. */
interface Structure {
  readonly seeds: readonly Uint8Array[];
  readonly run: Target['run'];
}

function structure<T>(name: string, of: Codec<T>, ...values: T[]): Structure {
  return {
    seeds: values.map((value) => encode(of, value)),
    run: codec(
      (input) => decode(name, of, input),
      (value) => encode(of, value),
    ),
  };
}

/** Commands by what comes back: the first byte of the input chooses, and the header is made right. */
const RESPONSES = [
  { areaCount: 0, returnsHandle: false },
  { areaCount: 0, returnsHandle: true },
  { areaCount: 1, returnsHandle: true },
  { areaCount: 3, returnsHandle: false },
] as const;

function runResponse(input: Uint8Array): void {
  const { areaCount, returnsHandle } = RESPONSES[(input[0] ?? 0) % RESPONSES.length] ?? RESPONSES[0];
  const tag = areaCount > 0 ? 0x8002 : 0x8001;
  const body = input.subarray(1);
  const bytes = new ByteWriter()
    .u16(tag)
    .u32(6 + body.length)
    .bytes(body)
    .toBytes();
  decodeResponse({ name: 'GetRandom', code: 0x17b, returnsHandle }, bytes, areaCount);
}

const area = new ByteWriter().u16(32).bytes(digest).u8(1).u16(32).bytes(digest).toBytes();
const sessionBody = new ByteWriter().u32(0x80000000).u32(4).bytes(fromHex('0002abcd')).bytes(area).toBytes();

const STRUCTURES: readonly Structure[] = [
  structure(
    'capability-data',
    tpmsCapabilityData,
    { capability: 'algorithms', items: [{ algorithm: 1, attributes: 9 }] },
    { capability: 'handles', items: [0x81000001] },
    { capability: 'pcrs', items: pcrs },
    { capability: 'pcrProperties', items: [{ property: 1, pcrs: [16] }] },
    { capability: 'authPolicies', items: [{ handle: 1, policy: { hashAlg: 0x000b, digest } }] },
    { capability: 'act', items: [{ handle: 1, timeoutS: 2, attributes: 3 }] },
  ),
  structure('nv-public', tpmsNvPublic, {
    nvIndex: 0x01c00002,
    nameAlg: 0x000b,
    attributes: 0x62072001,
    authPolicy: digest,
    dataSize: 1016,
  }),
  structure('creation-data', tpmsCreationData, {
    pcrSelections: pcrs,
    pcrDigest: digest,
    locality: 1,
    parentNameAlg: 0x000b,
    parentName: digest,
    parentQualifiedName: digest,
    outsideInfo: digest,
  }),
  structure('context', tpmsContext, {
    sequence: 1n,
    savedHandle: 0x80000000,
    hierarchy: 0x40000007,
    contextBlob: digest,
  }),
  structure('time-info', tpmsTimeInfo, { time: 9n, clockInfo }),
  structure('sensitive', tpmtSensitive, {
    sensitiveType: 0x0008,
    authValue: digest,
    seedValue: digest,
    sensitive: digest,
  }),
  structure('sensitive-create', tpmsSensitiveCreate, { userAuth: digest, data: digest }),
  structure('ecc-point', tpmsEccPoint, { x: digest, y: digest }),
  structure('pcr-selection', tpmlPcrSelection, pcrs),
  structure('digest-list', tpmlDigest, [digest, digest]),
  structure('digest-values', tpmlDigestValues, [{ hashAlg: 0x000b, digest }]),
  structure('algorithm-list', tpmlAlg, [1, 4, 0x000b]),
  structure('creation-ticket', tpmtTkCreation, { tag: 0x8021, ...ticket }),
  structure('verified-ticket', tpmtTkVerified, { tag: 0x8022, ...ticket }),
  structure('auth-ticket', tpmtTkAuth, { tag: 0x8023, ...ticket }, { tag: 0x8025, ...ticket }),
  structure('hash-ticket', tpmtTkHashCheck, { tag: 0x8024, ...ticket }),
  structure('sig-scheme', tpmtSigScheme, undefined),
  structure('sym-def', tpmtSymDef, undefined),
  {
    seeds: [fromHex('0023000600800043001000030010')],
    run: codec(
      (input) => decode('public parms', tpmtPublicParms, input),
      (value) => encode(tpmtPublicParms, value),
    ),
  },
];

interface CommandFields {
  readonly name: string;
  readonly parameters: Fields;
  readonly response: Fields;
}

/** What each command takes and answers, all of Part 3. The first byte of an input chooses. */
const COMMANDS: readonly CommandFields[] = Object.values(commands).filter(
  (it): it is typeof it & CommandFields => 'response' in it,
);
const PARAMETERS = COMMANDS.flatMap(({ name, parameters, response }) => [
  structure<StructOf<Fields>>(`${name} parameters`, struct(parameters)),
  structure<StructOf<Fields>>(`${name} response`, struct(response)),
]);
const QUOTE_RESPONSE = 2 * COMMANDS.findIndex(({ name }) => name === 'Quote') + 1;

export const targets: readonly Target[] = [
  {
    name: 'tpm/attest',
    seeds: attestations.map(({ attest }) => fromHex(attest)),
    run: codec(parseAttest, encodeAttest),
    refusals,
  },
  {
    name: 'tpm/signature',
    seeds: attestations.map(({ signature }) => fromHex(signature)),
    run: codec(parseSignature, encodeSignature),
    refusals,
  },
  {
    name: 'tpm/public',
    seeds: [identity.ekPublic, identity.akPublic, identity.vrfPublic].map((value) => fromHex(value)),
    run(input) {
      codec(parseAnyPublicArea, encodePublicArea)(input);
      codec(parsePublicArea, encodePublicArea)(input);
      nameOf(input);
      toSpki(parsePublicArea(input));
    },
    refusals,
  },
  {
    // The first byte chooses the structure.
    name: 'tpm/structures',
    seeds: STRUCTURES.flatMap(({ seeds }, index) =>
      seeds.map((seed) => concatBytes(Uint8Array.of(index), seed)),
    ),
    run: (input) => STRUCTURES[(input[0] ?? 0) % STRUCTURES.length]?.run(input.subarray(1)),
    refusals,
  },
  {
    name: 'tpm/command-parameters',
    seeds: [
      ...PARAMETERS.map((_, index) => Uint8Array.of(index)),
      ...attestations.map(({ attest, signature }) =>
        new ByteWriter()
          .u8(QUOTE_RESPONSE)
          .u16(attest.length / 2)
          .bytes(fromHex(attest))
          .bytes(fromHex(signature))
          .toBytes(),
      ),
    ],
    run: (input) => PARAMETERS[(input[0] ?? 0) % PARAMETERS.length]?.run(input.subarray(1)),
    refusals,
  },
  {
    name: 'tpm/make-credential',
    seeds: [fromHex(identity.ekPublic)],
    run: (input) => void makeCredential(input, fromHex('000b').slice(), digest),
    refusals,
  },
  {
    name: 'tpm/response',
    seeds: [
      concatBytes(Uint8Array.of(0, 0, 0, 0, 0), digest),
      concatBytes(Uint8Array.of(1, 0, 0, 0, 0), digest),
      concatBytes(Uint8Array.of(2, 0, 0, 0, 0), sessionBody),
      fromHex('000000098400'),
    ],
    run: runResponse,
    refusals,
  },
  {
    name: 'tpm/return-code',
    seeds: [fromHex('00000984'), fromHex('0000012f')],
    run: afterParsing(
      (input) => decode('code', { read: (reader) => reader.u32(), write: () => undefined }, input),
      (code) => {
        decodeReturnCode(code);
        if (returnCodeName(code) === '') throw new Error('a code without a name');
      },
    ),
    refusals,
  },
  {
    name: 'tpm/sealed-blob',
    seeds: [encodeSealedBlob({ pcrs: [7, 14], privateArea: digest, publicArea: digest })],
    run: codec(parseSealedBlob, encodeSealedBlob),
    refusals,
  },
];
