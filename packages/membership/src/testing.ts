import { encodeEvidence, LEVEL, type MeasuredEvent, qualifyingData } from '@nemea/attestation';
import { appraisalOf, IMAGE, RELEASE, softwareAk } from '@nemea/attestation/testing';
import { type Content, signStatement } from '@nemea/consensus';
import { createEd25519Signer, createEd25519Verifier } from '@nemea/consensus/ed25519';
import { ByteWriter, fromUtf8, hashDomain, mintVerified, sha256, toHex } from '@nemea/core';
import { parsePublicArea } from '@nemea/tpm/structures';
import { proveVrf } from '@nemea/vrf';
import { answerDigest, challengeBinding } from './challenge.ts';
import type { Accusation, Attestation, Bid, Effect, MembershipState } from './index.ts';
import { ATTESTORS_EXPECTED, attestAlpha, attestOutput, drawnFrom, judgeAlpha, taskAlpha } from './jury.ts';
import type { DisputeOnLedger, LedgerView, Registration, TaskOnLedger } from './ledger-view.ts';
import { applyOperation, initialState } from './machine.ts';
import type { NodeRecord, OperationBody } from './operation.ts';
import { candidateId } from './roster.ts';
import { taskDrawSeed } from './task.ts';

/** For tests: members whose keys are in memory, layer 1 as plain facts, and the operations that they would author. */

export const NETWORK_ID = sha256(fromUtf8('membership test network'));
export const verifySignature = createEd25519Verifier();
export const BLOCKS_PER_EPOCH = 10;

export interface TestMember {
  readonly account: string;
  readonly record: NodeRecord;
  sign(message: Uint8Array): Uint8Array;
  /** As the member's attestation key does. */
  signQuote(attest: Uint8Array): Uint8Array;
  prove(alpha: Uint8Array): { beta: Uint8Array; proof: Uint8Array };
}

export function testMember(
  name: string,
  account = `0x${toHex(sha256(fromUtf8(`account ${name}`)).slice(0, 20))}`,
): TestMember {
  const signer = createEd25519Signer(sha256(fromUtf8(`peer ${name}`)));
  const vrfSecret = sha256(fromUtf8(`vrf ${name}`));
  const ak = softwareAk(`ak ${name}`);
  const akPoint = pointOf(ak.akPublic);
  const vrf = pointOf(softwareAk(`vrf ${name}`).akPublic);
  return {
    account,
    record: {
      account,
      owner: account,
      peerKey: signer.publicKey,
      ekId: sha256(fromUtf8(`ek ${name}`)),
      akX: akPoint.x,
      akY: akPoint.y,
      vrfX: vrf.x,
      vrfY: vrf.y,
      level: LEVEL.development,
      endpoint: '/ip4/127.0.0.1/tcp/1 /ip4/127.0.0.1/tcp/2',
    },
    sign: signer.sign,
    signQuote: ak.sign,
    prove: remembered((alpha) => proveVrf(vrfSecret, alpha)),
  };
}

/** A draw has one proof: long tests ask for the same ones again and again. */
function remembered<T>(prove: (alpha: Uint8Array) => T): (alpha: Uint8Array) => T {
  const known = new Map<string, T>();
  return (alpha) => {
    const key = toHex(alpha);
    const proven = known.get(key) ?? prove(alpha);
    known.set(key, proven);
    return proven;
  };
}

export function testMembers(count: number): TestMember[] {
  return Array.from({ length: count }, (_, index) => testMember(`member ${index}`));
}

function pointOf(publicArea: Uint8Array): { x: Uint8Array; y: Uint8Array } {
  const area = parsePublicArea(publicArea);
  if (area.type !== 'ecc') throw new Error('the software key is not ECC');
  return { x: area.x, y: area.y };
}

/** Layer 1 with a block a second, and as much of it read as `head` says. */
export class TestLedger implements LedgerView {
  head: number;
  readonly tasks = new Map<string, TaskOnLedger>();
  readonly disputes = new Map<string, DisputeOnLedger>();
  /** Blocks in which tasks and disputes were closed, by id. */
  readonly closed = new Map<string, number>();
  /** Releases, and worker images, by digest: the block from which each is approved, and the one from which it is not. */
  readonly releases = new Map<string, { from: number; until: number }>();
  readonly images = new Map<string, { from: number; until: number }>();
  /** Accounts that left, by the block in which they did. */
  readonly left = new Map<string, number>();
  readonly #records: readonly NodeRecord[];

  /** Newcomers that layer 1 has registered, and in which block. */
  readonly registered: Registration[] = [];

  admissions(afterBlock: number, throughBlock: number): readonly Registration[] {
    return this.registered.filter(({ block }) => afterBlock < block && block <= throughBlock);
  }

  leavers(atBlock: number): ReadonlySet<string> {
    return new Set([...this.left].filter(([, block]) => block <= atBlock).map(([account]) => account));
  }

  constructor(genesis: readonly TestMember[], head = 25) {
    this.#records = genesis.map(({ record }) => record);
    this.head = head;
    this.releases.set(toHex(RELEASE.digest), { from: 0, until: Number.POSITIVE_INFINITY });
    this.images.set(toHex(IMAGE.digest), { from: 0, until: Number.POSITIVE_INFINITY });
  }

  blockHash(block: number): Uint8Array | undefined {
    return block > this.head ? undefined : hashDomain('test block', new ByteWriter().u32(block).toBytes());
  }

  blockTimestampS(block: number): number | undefined {
    return block > this.head ? undefined : 1_000 + block;
  }

  epochOf(block: number): number {
    return Math.floor(Math.min(block, this.head) / BLOCKS_PER_EPOCH);
  }

  epochSeed(epoch: number): Uint8Array | undefined {
    const hash = this.blockHash(epoch * BLOCKS_PER_EPOCH);
    return hash === undefined ? undefined : hashDomain('test seed', hash);
  }

  epochBoundary(epoch: number): number | undefined {
    const block = epoch * BLOCKS_PER_EPOCH;
    return block > this.head ? undefined : block;
  }

  task(taskId: Uint8Array, atBlock: number): TaskOnLedger | undefined {
    const task = this.tasks.get(toHex(taskId));
    return task !== undefined && task.createdBlock <= atBlock ? task : undefined;
  }

  isTaskClosed(taskId: Uint8Array, atBlock: number): boolean {
    return (this.closed.get(toHex(taskId)) ?? Number.POSITIVE_INFINITY) <= atBlock;
  }

  dispute(disputeId: Uint8Array): DisputeOnLedger | undefined {
    return this.disputes.get(toHex(disputeId));
  }

  isDisputeClosed(disputeId: Uint8Array, atBlock: number): boolean {
    return this.isTaskClosed(disputeId, atBlock);
  }

  approvedReleases(atBlock: number): ReadonlySet<string> {
    return approved(this.releases, atBlock);
  }

  approvedImages(atBlock: number): ReadonlySet<string> {
    return approved(this.images, atBlock);
  }

  withdrawnReleases(atBlock: number): ReadonlyMap<string, number> {
    return withdrawn(this.releases, atBlock);
  }

  withdrawnImages(atBlock: number): ReadonlyMap<string, number> {
    return withdrawn(this.images, atBlock);
  }

  approvedCodes(): ReadonlySet<string> {
    return new Set();
  }

  policyVersion(): number {
    return 1;
  }

  genesisRecords(): readonly NodeRecord[] {
    return this.#records;
  }

  addTask(name: string, change: Partial<TaskOnLedger> = {}): TaskOnLedger {
    const task: TaskOnLedger = {
      taskId: sha256(fromUtf8(`task ${name}`)),
      creator: `0x${'c'.repeat(40)}`,
      createdBlock: this.head,
      codeDigest: sha256(fromUtf8('code')),
      imageDigest: IMAGE.digest,
      capsuleIds: [],
      timeoutS: 30,
      minLevel: 1,
      minCredit: 0,
      fee: 1n,
      spec: new Uint8Array(0),
      ...change,
    };
    this.tasks.set(toHex(task.taskId), task);
    return task;
  }
}

type Approvals = ReadonlyMap<string, { from: number; until: number }>;

function approved(approvals: Approvals, atBlock: number): ReadonlySet<string> {
  const now = [...approvals].filter(([, { from, until }]) => from <= atBlock && atBlock < until);
  return new Set(now.map(([digest]) => digest));
}

function withdrawn(approvals: Approvals, atBlock: number): ReadonlyMap<string, number> {
  return new Map(
    [...approvals].flatMap(([digest, { until }]) => (until <= atBlock ? [[digest, until] as const] : [])),
  );
}

/** A machine that is fed by hand: operations in, state and effects out. */
export class TestMachine {
  readonly ledger: TestLedger;
  state: MembershipState;
  effects: readonly Effect[] = [];
  consensusEpoch = 1;

  constructor(ledger: TestLedger) {
    this.ledger = ledger;
    this.state = initialState(NETWORK_ID, ledger);
  }

  /** Orders an operation as of the head, or of another block. Returns why it was rejected, if it was. */
  order(author: TestMember, body: OperationBody, block = this.ledger.head): string | undefined {
    const anchor = { block, hash: this.ledger.blockHash(block) ?? new Uint8Array(32) };
    const operation = mintVerified({ author: author.account, anchor, body });
    const { ledger, consensusEpoch } = this;
    const surroundings = { ledger, verifySignature, consensusEpoch };
    const { state, effects } = applyOperation(this.state, operation, surroundings);
    this.state = state;
    this.effects = effects;
    const [rejected] = effects.filter((effect) => effect.type === 'rejected');
    return rejected?.code;
  }

  credit(member: TestMember): number | undefined {
    return this.state.roster.get(member.account)?.credit;
  }
}

export interface TestNetwork {
  readonly ledger: TestLedger;
  readonly machine: TestMachine;
}

/** A network as it begins: layer 1 that knows only its founders, and a machine that follows it. */
export function foundNetwork(founders: readonly TestMember[]): TestNetwork {
  const ledger = new TestLedger(founders);
  return { ledger, machine: new TestMachine(ledger) };
}

export function drawContext(ledger: LedgerView, epoch: number) {
  return { networkId: NETWORK_ID, epochSeed: ledger.epochSeed(epoch) ?? new Uint8Array(32) };
}

export function applicationOf(candidate: TestMember): Extract<OperationBody, { kind: 'apply' }> {
  return {
    kind: 'apply',
    record: candidate.record,
    applicationDigest: sha256(fromUtf8(`application of ${candidate.account}`)),
  };
}

export function candidateOf(candidate: TestMember): Uint8Array {
  return candidateId(candidate.record, applicationOf(candidate).applicationDigest);
}

export function seatOf(
  ledger: LedgerView,
  judge: TestMember,
  candidate: TestMember,
  epoch: number,
): Extract<OperationBody, { kind: 'sit' }> {
  const { proof } = judge.prove(judgeAlpha(drawContext(ledger, epoch), candidateOf(candidate)));
  return { kind: 'sit', candidate: candidateOf(candidate), epoch, proof };
}

export function judgementOf(
  ledger: LedgerView,
  judge: TestMember,
  candidate: TestMember,
  epoch: number,
  verdict: 'affirming' | 'warning' | 'contraindicated' = 'affirming',
): Extract<OperationBody, { kind: 'judge' }> {
  const { proof } = judge.prove(judgeAlpha(drawContext(ledger, epoch), candidateOf(candidate)));
  const resultDigest = sha256(fromUtf8(verdict));
  return { kind: 'judge', candidate: candidateOf(candidate), epoch, proof, verdict, resultDigest };
}

/** Evidence that a member's TPM would sign over a challenge, honest unless its log says otherwise. */
export function evidenceOf(
  member: TestMember,
  over: { challenge: Uint8Array; binding: Uint8Array },
  log: readonly MeasuredEvent[] = [RELEASE, IMAGE],
): Uint8Array {
  const { evidence } = appraisalOf({
    log,
    quote: { extraData: qualifyingData({ networkId: NETWORK_ID, ...over }) },
    evidence: ({ attest }) => ({ binding: over.binding, signature: member.signQuote(attest) }),
  });
  return encodeEvidence(evidence);
}

/** What a target would answer to an attestor's challenge of an epoch. */
export function answerOf(
  attestor: TestMember,
  target: TestMember,
  epoch: number,
  log = [RELEASE, IMAGE],
  nonce = sha256(fromUtf8(`nonce ${epoch}`)),
): { evidence: Uint8Array; nonce: Uint8Array; answerSignature: Uint8Array } {
  const binding = challengeBinding({
    epoch,
    attestor: attestor.account,
    target: target.account,
    command: 'epoch',
  });
  const bytes = evidenceOf(target, { challenge: nonce, binding }, log);
  const answerSignature = target.sign(answerDigest({ binding, nonce, evidenceDigest: sha256(bytes) }));
  return { evidence: bytes, nonce, answerSignature };
}

export function attestationOf(
  attestor: TestMember,
  target: TestMember,
  epoch: number,
  verdict: Attestation['verdict'] = 'affirming',
): Attestation {
  const { evidence, nonce, answerSignature } = answerOf(attestor, target, epoch);
  return {
    target: target.account,
    verdict,
    quoteDigest: sha256(fromUtf8('quote')),
    nonce,
    evidenceDigest: sha256(evidence),
    answerSignature,
  };
}

/** An attestor's draw of an epoch. */
export function seatOfAttestor(ledger: LedgerView, attestor: TestMember, epoch: number) {
  return attestor.prove(attestAlpha(drawContext(ledger, epoch)));
}

/** An attestor's report of an epoch. */
export function epochReportOf(
  ledger: LedgerView,
  attestor: TestMember,
  epoch: number,
  attestations: readonly Attestation[] = [],
): Extract<OperationBody, { kind: 'attest' }> {
  const { proof } = seatOfAttestor(ledger, attestor, epoch);
  return { kind: 'attest', epoch, proof, attestations: [...attestations] };
}

/** Whether the VRF draws an attestor for a target. */
export function isSeated(
  { ledger, state }: TestMachine,
  attestor: TestMember,
  target: TestMember,
  epoch: number,
): boolean {
  const member = state.roster.get(attestor.account);
  if (member === undefined || attestor === target) return false;
  const { beta } = seatOfAttestor(ledger, attestor, epoch);
  const output = attestOutput(drawContext(ledger, epoch), beta, target.account);
  return drawnFrom(state.roster, member, output, ATTESTORS_EXPECTED);
}

export function accusationOf(
  ledger: LedgerView,
  accuser: TestMember,
  target: TestMember,
  epoch: number,
  answer = answerOf(accuser, target, epoch, [IMAGE]),
): Accusation {
  const { proof } = seatOfAttestor(ledger, accuser, epoch);
  return { kind: 'accuse', epoch, target: target.account, proof, ...answer };
}

export type ProofOfEquivocation = Extract<OperationBody, { kind: 'prove-equivocation' }>;

/** Two commits of one member for different decisions in one place, or any two statements. */
export function equivocationOf(
  culprit: TestMember,
  epoch: number,
  said: readonly [Content, Content] = [commitOf(epoch, 1), commitOf(epoch, 2)],
): ProofOfEquivocation {
  const [first, second] = said.map((content) => {
    const { sign, account: sender } = culprit;
    const { message } = signStatement({ networkId: NETWORK_ID, sender, content, batch: [], sign });
    return { payload: message.payload, signature: message.signature };
  }) as [ProofOfEquivocation['first'], ProofOfEquivocation['second']];
  return { kind: 'prove-equivocation', culprit: culprit.account, first, second };
}

export function commitOf(epoch: number, digest: number, view = 0): Content {
  return { kind: 'commit', epoch, view, sequence: epoch, digest: sha256(Uint8Array.of(digest)) };
}

export function bidOf(
  ledger: LedgerView,
  bidder: TestMember,
  taskId: Uint8Array,
  attempt: number,
  startBlock: number,
): Bid {
  const epochSeed = taskDrawSeed(ledger, startBlock);
  if (epochSeed === undefined) throw new Error(`block ${startBlock} is not there yet`);
  const context = { networkId: NETWORK_ID, epochSeed };
  return {
    kind: 'bid',
    taskId,
    attempt,
    execute: bidder.prove(taskAlpha(context, 'execute', taskId, attempt)),
    verify: bidder.prove(taskAlpha(context, 'verify', taskId, attempt)),
  };
}

export function reportOf(
  taskId: Uint8Array,
  attempt: number,
  certificate: Uint8Array,
  verdict: Attestation['verdict'] = 'affirming',
): Extract<OperationBody, { kind: 'verify' }> {
  const phases = (['before', 'during', 'after'] as const).map((phase) => ({
    phase,
    verdict,
    quoteDigest: sha256(fromUtf8(phase)),
  }));
  return { kind: 'verify', taskId, attempt, certificateDigest: sha256(certificate), phases };
}
