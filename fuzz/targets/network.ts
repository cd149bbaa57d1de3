import {
  CapsuleError,
  encodeCleanupCertificate,
  encodeReleaseMessage,
  encodeTaskSpec,
  inspectCapsule,
  openCapsule,
  parseCleanupCertificate,
  parseReleaseMessage,
  parseTaskSpec,
} from '@nemea/capsule';
import {
  ConsensusError,
  encodeDecision,
  encodeMessage,
  encodeRecord,
  parseDecision,
  parseMessage,
  parseRecord,
} from '@nemea/consensus';
import { fromHex, fromUtf8 } from '@nemea/core';
import { encodeSignedOperation, MembershipError, parseSignedOperation } from '@nemea/membership';
import { parseRelease } from '@nemea/node';
import { parseNetwork, parseReport, ReportError } from '@nemea/sdk';
import { VrfError, verifyVrf } from '@nemea/vrf';
import { encodePayload, parsePayload } from '../../packages/consensus/src/message.ts';
import {
  batches,
  certificates,
  contents,
  messages,
} from '../../packages/consensus/src/testing/arbitraries.ts';
import { encodeFrame, parseFrame } from '../../packages/node/src/adapters/network/frame.ts';
import {
  encodeHandshakeMessage,
  parseHandshakeMessage,
} from '../../packages/node/src/adapters/network/handshake-message.ts';
import { ReleaseError } from '../../packages/node/src/adapters/release/manifest.ts';
import { parsePeerAddress } from '../../packages/node/src/peers/peer-address.ts';
import { TransportError } from '../../packages/node/src/ports/transport.ts';
import * as protocol from '../../packages/node/src/protocol.ts';
import { NetworkError } from '../../packages/sdk/src/ledger/network.ts';
import { parseEpochLeaf } from '../../packages/sdk/src/report/epoch-leaf.ts';
import { afterParsing, type Target } from '../target.ts';
import { cbor, codec, json, readJson, samples, text } from './support.ts';

const few = Uint8Array.of(1, 2, 3);
const digest = new Uint8Array(32).fill(7);
const signature = new Uint8Array(64).fill(8);
const account = `0x${'ab'.repeat(20)}`;
const ethereumSignature = `0x${'ab'.repeat(65)}`;
const record = {
  account,
  owner: account,
  peerKey: digest,
  ekId: digest,
  akX: digest,
  akY: digest,
  vrfX: digest,
  vrfY: digest,
  level: 1,
  endpoint: '/ip4/192.0.2.1/tcp/1 /ip4/192.0.2.1/tcp/2',
};
const run = { taskId: digest, attempt: 1 };
const attestation = {
  target: account,
  verdict: 'affirming',
  quoteDigest: digest,
  nonce: digest,
  evidenceDigest: digest,
  answerSignature: signature,
};

const vrfProofs = readJson<{ publicKey: string; proofs: { alpha: string; proof: string }[] }>(
  'tpm/vrf-proofs.json',
);
const rfcProofs = readJson<{ publicKey: string; alpha: string; pi: string }[]>('vrf/rfc9381-p256-tai.json');
const documents =
  readJson<Record<'header' | 'taskSpec' | 'cleanupCertificate', string>>('capsule/documents.json');
const capsules = readJson<{ bases: Record<string, string>; cases: { base: string; fileKey: string }[] }>(
  'capsule/capsules.json',
);
const smallCapsule = Uint8Array.from(Buffer.from(capsules.bases.small ?? '', 'base64'));
const fileKey = fromHex(capsules.cases.find(({ base }) => base === 'small')?.fileKey ?? '');

const operations = [
  { kind: 'apply', record, applicationDigest: digest },
  { kind: 'sit', candidate: digest, epoch: 1, proof: few },
  { kind: 'judge', candidate: digest, epoch: 1, proof: few, verdict: 'warning', resultDigest: digest },
  { kind: 'attest', epoch: 1, proof: few, attestations: [attestation] },
  {
    kind: 'accuse',
    epoch: 1,
    target: account,
    proof: few,
    nonce: digest,
    evidence: few,
    answerSignature: signature,
  },
  { kind: 'close-epoch', epoch: 1 },
  { kind: 'bid', ...run, execute: { beta: digest, proof: few }, verify: { beta: digest, proof: few } },
  { kind: 'complete', ...run, certificate: few },
  {
    kind: 'verify',
    ...run,
    certificateDigest: digest,
    phases: [{ phase: 'before', verdict: 'affirming', quoteDigest: digest }],
  },
  { kind: 'abandon', ...run, reason: 2 },
  { kind: 'expire', ...run },
  { kind: 'judge-dispute', disputeId: digest },
  {
    kind: 'prove-equivocation',
    culprit: account,
    first: { payload: few, signature },
    second: { payload: few, signature },
  },
  { kind: 'rejoin', nonce: digest },
].map((body) =>
  cbor({ operation: cbor({ author: account, anchor: { block: 1, hash: digest }, body }), signature }),
);

/** Messages between nodes; each codec sees every input. */
const CODECS = [
  protocol.voteMessageCodec,
  protocol.challengeCodec,
  protocol.answerCodec,
  protocol.phaseNoticeCodec,
  protocol.phaseResultCodec,
  protocol.signedPhaseResultCodec,
  protocol.applicationCodec,
  protocol.admissionRequestCodec,
  protocol.admissionResponseCodec,
  protocol.resultNoticeCodec,
  protocol.decisionsRequestCodec,
  protocol.queryCodec,
  protocol.queryAnswerCodec,
  protocol.agreedStateCodec,
].map(({ parse, encode }): Target['run'] => {
  return codec(parse as (input: Uint8Array) => never, encode as (value: never) => Uint8Array);
});
const protocolMessages = [
  { digest, signature: ethereumSignature },
  {
    epoch: 3,
    attestor: account,
    target: account,
    command: 'epoch',
    nonce: digest,
    proof: few,
    signature: ethereumSignature,
    task: run,
  },
  { evidence: few, stateDigest: digest, signature },
  { fresh: digest },
  { sequence: 7, result: few, signature },
  { epochClosed: 2, members: 4, rosterRoot: digest },
  { ...run, phase: 'after', runSalt: digest, certificate: few },
  {
    ...run,
    verifier: account,
    executor: account,
    phase: 'before',
    verdict: 'affirming',
    quoteDigest: digest,
    proof: few,
    startBlock: 7,
  },
  { result: few, signature },
  {
    record,
    ekChain: [few],
    ekPublic: few,
    akPublic: few,
    vrfPublic: few,
    certify: { attest: few, signature: few },
    consent: ethereumSignature,
  },
  { kind: 'answer', candidate: digest, secret: few, evidence: few },
  { kind: 'challenge', credentialBlob: few, encryptedSecret: few, nonce: digest },
  { kind: 'judged', verdict: 'contraindicated', reasons: ['EK_INVALID: no'], vote: null },
  {
    ...{ taskId: digest, receiver: digest },
    cid: 'bafy',
    source: '/ip4/192.0.2.1/tcp/1',
    capsuleDigest: digest,
    certificate: null,
  },
  { from: 9 },
].map((message) => cbor(message));

function runAll(input: Uint8Array): void {
  let accepted = 0;
  let refusal: unknown;
  for (const each of CODECS) {
    try {
      each(input);
      accepted++;
    } catch (error) {
      if (!(error instanceof protocol.ProtocolError)) throw error;
      refusal = error;
    }
  }
  if (accepted > 1) throw new Error('two kinds of message have the same bytes');
  if (accepted === 0) throw refusal;
}

const decisions = samples(certificates, 4).map((certificate, i) => ({
  sequence: certificate.sequence,
  batch: samples(batches)[i] ?? [],
  certificate,
}));
const records = [
  ...decisions.map(({ certificate, batch }) => ({ type: 'committed', certificate, batch }) as const),
  ...decisions.map(({ certificate }) => ({ type: 'prepared', certificate }) as const),
  ...samples(contents, 6).map((content) => ({ type: 'sent', content, batch: [few], evidence: few }) as const),
  {
    type: 'executed',
    sequence: 3,
    members: [{ id: 'a', publicKey: digest, weight: 2 }],
    renews: true,
  } as const,
  {
    type: 'entered',
    newView: samples(messages, 1)[0] ?? { payload: few, sender: 'a', signature, batch: [], evidence: few },
  } as const,
];
const network = {
  name: 'test',
  rpcUrl: 'http://192.0.2.1:8545',
  chainId: 31337,
  startBlock: 0,
  epochMs: 10000,
  contracts: Object.fromEntries(
    [
      'feeToken',
      'nodeRegistry',
      'policyRegistry',
      'epochLog',
      'capsuleRegistry',
      'releasePolicy',
      'taskEscrow',
      'disputes',
    ].map((name) => [name, account]),
  ),
};
const membershipRefusals = [MembershipError];
const consensusRefusals = [ConsensusError];
const capsuleRefusals = [CapsuleError];

export const targets: readonly Target[] = [
  {
    // The first byte chooses the key and input that the proof is held against.
    name: 'network/vrf-proof',
    seeds: [
      ...vrfProofs.proofs.slice(0, 2).map(({ proof }) => Uint8Array.of(0, ...fromHex(proof))),
      ...rfcProofs.slice(0, 1).map(({ pi }) => Uint8Array.of(1, 1, ...fromHex(pi))),
      Uint8Array.of(0, ...fromHex(vrfProofs.proofs[0]?.proof ?? '')),
    ],
    run(input) {
      const proof = input.subarray(1);
      const [tpm, rfc] = [vrfProofs.proofs[0], rfcProofs[0]];
      if ((input[0] ?? 0) % 2 === 0)
        verifyVrf(fromHex(vrfProofs.publicKey), fromHex(tpm?.alpha ?? ''), proof);
      else verifyVrf(fromHex(rfc?.publicKey ?? ''), fromHex(rfc?.alpha ?? ''), proof);
    },
    refusals: [VrfError],
  },
  {
    name: 'network/vrf-key',
    seeds: [fromHex(vrfProofs.publicKey)],
    run: (input) =>
      void verifyVrf(
        input,
        fromHex(vrfProofs.proofs[0]?.alpha ?? ''),
        fromHex(vrfProofs.proofs[0]?.proof ?? ''),
      ),
    refusals: [VrfError],
  },
  {
    name: 'network/consensus-message',
    seeds: samples(messages).map((message) => Uint8Array.from(encodeMessage(message))),
    run: codec(parseMessage, encodeMessage),
    refusals: consensusRefusals,
  },
  {
    name: 'network/consensus-payload',
    seeds: samples(contents).map((content) => Uint8Array.from(encodePayload(content))),
    run: codec(parsePayload, encodePayload),
    refusals: consensusRefusals,
  },
  {
    name: 'network/consensus-decision',
    seeds: decisions.map((decision) => Uint8Array.from(encodeDecision(decision))),
    run: codec(parseDecision, encodeDecision),
    refusals: consensusRefusals,
  },
  {
    name: 'network/consensus-journal',
    seeds: records.map((each) => Uint8Array.from(encodeRecord(each))),
    run: codec(parseRecord, encodeRecord),
    refusals: consensusRefusals,
  },
  {
    name: 'network/operation',
    form: 'cbor',
    seeds: operations,
    run: codec(parseSignedOperation, (it) => encodeSignedOperation(it.signedBytes, it.signature)),
    refusals: membershipRefusals,
  },
  {
    name: 'network/frame',
    form: 'cbor',
    seeds: [
      encodeFrame({ kind: 'send', body: few }),
      encodeFrame({ kind: 'request', id: 1, body: few }),
      encodeFrame({ kind: 'error', id: 2, code: 'NO' }),
    ].map((bytes) => Uint8Array.from(bytes)),
    run: codec(parseFrame, encodeFrame),
    refusals: [TransportError],
  },
  {
    name: 'network/handshake',
    form: 'cbor',
    seeds: [
      encodeHandshakeMessage({ type: 'hello', challenge: digest }),
      encodeHandshakeMessage({ type: 'evidence', evidence: few }),
      encodeHandshakeMessage({ type: 'refuse', code: 'NO' }),
    ].map((bytes) => Uint8Array.from(bytes)),
    run: codec(parseHandshakeMessage, encodeHandshakeMessage),
    refusals: [TransportError],
  },
  {
    name: 'network/protocol',
    form: 'cbor',
    seeds: protocolMessages,
    run: runAll,
    refusals: [protocol.ProtocolError],
  },
  {
    name: 'network/address',
    seeds: [fromUtf8('/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5')],
    run: text((address) => {
      protocol.parseEndpoint(`${address} ${address}`);
      parsePeerAddress(address);
    }),
    refusals: [TransportError, protocol.ProtocolError],
  },
  {
    name: 'network/release-manifest',
    form: 'json',
    seeds: [json({ name: 'nemea', version: '1.0.0', files: [{ path: 'a', sha256: '00' }] })],
    run: (input) => void parseRelease(input),
    refusals: [ReleaseError],
  },
  {
    name: 'network/capsule',
    seeds: [smallCapsule],
    run: afterParsing(inspectCapsule, (_, input) => {
      try {
        openCapsule(input, fileKey);
      } catch (error) {
        if (!(error instanceof CapsuleError)) throw error;
      }
    }),
    refusals: capsuleRefusals,
  },
  {
    name: 'network/task',
    form: 'cbor',
    seeds: [fromHex(documents.taskSpec)],
    run: codec(parseTaskSpec, encodeTaskSpec),
    refusals: capsuleRefusals,
  },
  {
    name: 'network/cleanup-certificate',
    form: 'cbor',
    seeds: [fromHex(documents.cleanupCertificate)],
    run: codec(parseCleanupCertificate, encodeCleanupCertificate),
    refusals: capsuleRefusals,
  },
  {
    name: 'network/key-release',
    form: 'cbor',
    seeds: [
      cbor({ kind: 'refusal', code: 'NONCE_UNKNOWN' }),
      cbor({ kind: 'grant', stanza: { key: digest, enc: digest, ciphertext: new Uint8Array(48) } }),
      cbor({ kind: 'nonce', nonce: digest }),
    ],
    run: codec(parseReleaseMessage, encodeReleaseMessage),
    refusals: capsuleRefusals,
  },
  {
    name: 'network/epoch-leaf',
    form: 'cbor',
    seeds: [
      cbor({ ...attestation, attestor: account, epoch: 1 }),
      cbor({ attestor: account, epoch: 1, proof: few, beta: digest }),
      cbor({
        equivocator: account,
        epoch: 1,
        first: { payload: few, signature },
        second: { payload: few, signature },
      }),
    ],
    run: (input) => void parseEpochLeaf(input),
    refusals: [ReportError],
  },
  {
    name: 'network/documents',
    form: 'json',
    seeds: [
      json(network),
      json({ version: 1, ok: true, network: { ...network, rpcUrl: undefined }, nodes: [], results: {} }),
    ],
    run: text((document) => {
      try {
        parseReport(document);
      } catch (error) {
        if (!(error instanceof ReportError)) throw error;
      }
      parseNetwork(document);
    }),
    refusals: [NetworkError],
  },
];
