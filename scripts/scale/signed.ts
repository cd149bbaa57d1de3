import { createEd25519Signer, createEd25519Verifier } from '@nemea/consensus/ed25519';
import { fromUtf8, hashDomain, merkleRoot, sha256 } from '@nemea/core';
import {
  type Attestation,
  answerDigest,
  attestAlpha,
  attestOdds,
  authenticateOperation,
  challengeBinding,
  creditRoot,
  type EpochReport,
  encodeEpochLeaf,
  encodeOperation,
  encodeSignedOperation,
  epochLeaves,
  genesisRoster,
  judgeReport,
  type Member,
  operationDigest,
  parseSignedOperation,
  rosterRoot,
  settleCredit,
  targetRing,
  targetsDrawn,
  vrfPublicKey as vrfKeyOf,
} from '@nemea/membership';
import { proveVrf, verifyVrf, vrfPublicKey } from '@nemea/vrf';
import { accountOf } from '../juries/network.ts';

/**
 * An epoch of many nodes with real keys, VRF proofs and signatures: what whoever executes the order does with it, by the functions of the product.
 * Proofs and signatures are made before; on the network every node makes its own.
 */
const EPOCH = 3;
const DRAW = { networkId: sha256(fromUtf8('scale')), epochSeed: sha256(fromUtf8('scale seed')) };
const DIGEST = sha256(fromUtf8('evidence'));

export interface SignedEpoch {
  readonly nodes: number;
  readonly results: number;
  readonly proofs: number;
  readonly signatures: number;
  /** CPU seconds of the epoch, and of the raw checks of its signatures alone. */
  readonly epochS: number;
  readonly signaturesS: number;
  /** CPU seconds of the raw checks of its VRF proofs. */
  readonly proofsS: number;
}

export function runSignedEpoch(nodes: number, tell: (line: string) => void): SignedEpoch {
  const keys = Array.from({ length: nodes }, (_, i) => {
    const signer = createEd25519Signer(sha256(fromUtf8(`peer ${i}`)));
    return { account: accountOf(i), signer, vrfSecret: sha256(fromUtf8(`vrf ${i}`)) };
  });
  const roster = genesisRoster(keys.map(recordOf));
  tell(`${nodes} keys made`);
  const ring = targetRing(DRAW, roster, EPOCH);
  const signerOf = new Map(keys.map(({ account, signer }) => [account, signer]));
  const raw: [key: Uint8Array, message: Uint8Array, signature: Uint8Array][] = [];
  const proofs: [key: Uint8Array, proof: Uint8Array][] = [];
  let results = 0;
  const operations = keys.map(({ account, signer, vrfSecret }) => {
    const { beta, proof } = proveVrf(vrfSecret, attestAlpha(DRAW));
    proofs.push([vrfKeyOf(roster.get(account) as Member), proof]);
    const odds = attestOdds(roster, roster.get(account) as Member);
    const attestations = targetsDrawn(ring, { account, beta }, odds).map((target): Attestation => {
      const parties = { epoch: EPOCH, attestor: account, target };
      const binding = challengeBinding({ ...parties, command: 'epoch' });
      const answer = answerDigest({ binding, nonce: beta, evidenceDigest: DIGEST });
      const answerSignature = (signerOf.get(target) as typeof signer).sign(answer);
      raw.push([(signerOf.get(target) as typeof signer).publicKey, answer, answerSignature]);
      return {
        target,
        verdict: 'affirming',
        quoteDigest: DIGEST,
        nonce: beta,
        evidenceDigest: DIGEST,
        answerSignature,
      };
    });
    results += attestations.length;
    const body = { kind: 'attest' as const, epoch: EPOCH, proof, attestations };
    const operation = encodeOperation({ author: account, anchor: { block: 1, hash: DIGEST }, body });
    const digest = operationDigest(DRAW.networkId, operation);
    const signature = signer.sign(digest);
    raw.push([signer.publicKey, digest, signature]);
    return encodeSignedOperation(operation, signature);
  });
  tell(`${operations.length} reports with ${results} results proven and signed`);

  const signaturesS = cpuSeconds(() => {
    const verify = createEd25519Verifier();
    if (!raw.every(([key, message, signature]) => verify(key, message, signature)))
      throw new Error('a signature fails');
  });
  tell(`${raw.length} raw checks: ${signaturesS.toFixed(1)} s`);
  const proofsS = cpuSeconds(() => {
    for (const [key, proof] of proofs) verifyVrf(key, attestAlpha(DRAW), proof);
  });
  const epochS = cpuSeconds(() => executeEpoch(roster, operations, results));
  tell(`epoch: ${epochS.toFixed(1)} s`);
  return { nodes, results, proofs: nodes, signatures: raw.length, epochS, signaturesS, proofsS };
}

/** Parses, authenticates and judges every report, settles credit and computes the roots of the record. */
function executeEpoch(
  roster: ReturnType<typeof genesisRoster>,
  operations: readonly Uint8Array[],
  results: number,
): void {
  const verifySignature = createEd25519Verifier();
  const reports = new Map<string, EpochReport>();
  for (const bytes of operations) {
    const signed = parseSignedOperation(bytes);
    const author = roster.get(signed.operation.author) as Member;
    const { body } = authenticateOperation(DRAW.networkId, signed, author.peerKey, verifySignature);
    if (body.kind !== 'attest') throw new Error('no report');
    const report = judgeReport({ roster, draw: DRAW, verifySignature }, author, body);
    if ('rejected' in report) throw new Error(`a report is rejected: ${report.rejected}`);
    reports.set(author.account, report);
  }
  const leaves = epochLeaves(EPOCH, reports);
  if (leaves.length !== operations.length + results) throw new Error('a result is missing');
  const settled = settleCredit(roster, leaves, DRAW);
  for (const root of [
    merkleRoot(leaves.map(encodeEpochLeaf)),
    creditRoot(settled, EPOCH),
    rosterRoot(settled),
  ]) {
    if (root.length !== 32) throw new Error('no root');
  }
}

function recordOf({
  account,
  signer,
  vrfSecret,
}: {
  account: string;
  signer: { publicKey: Uint8Array };
  vrfSecret: Uint8Array;
}) {
  const key = vrfPublicKey(vrfSecret);
  const vrfY = new Uint8Array(32);
  vrfY[31] = (key[0] as number) === 3 ? 1 : 0;
  const id = (name: string) => hashDomain(`scale/${name}`, fromUtf8(account));
  return {
    account,
    owner: account,
    peerKey: signer.publicKey,
    ekId: id('ek'),
    akX: id('ak-x'),
    akY: id('ak-y'),
    vrfX: key.slice(1),
    vrfY,
    level: 1,
    endpoint: 'none',
  };
}

export function cpuSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}
