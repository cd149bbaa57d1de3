import { join } from 'node:path';
import {
  type AttestationResult,
  appraise,
  type ClockRecord,
  collectEvidence,
  encodeEvidence,
  parseEvidence,
  toAssuranceLevel,
} from '@nemea/attestation';
import { bytesEqual, CodedError, errorCode, fromHex, hashDomain, toHex } from '@nemea/core';
import {
  type Accusation,
  ATTEMPT_OVERHEAD_S,
  akPublicArea,
  type Effect,
  type EpochLeaf,
  encodeEpochLeaf,
  epochToClose,
  FAILURE_REASONS,
  isDrawRipe,
  isEpochRipe,
  judgingPolicy,
  type Member,
  type MembershipState,
  membersInOrder,
  type NodeRecord,
  type TaskOnLedger,
  type Vote,
} from '@nemea/membership';
import { type Ledger, type Network, openLedger, type Receipt } from '@nemea/sdk';
import type { Logger } from 'pino';
import { type Device, openDevice } from './adapters/device/device.ts';
import { toPeerAddress } from './adapters/network/identity.ts';
import { openOutward } from './adapters/network/outward.ts';
import { openOverlay } from './adapters/network/overlay.ts';
import { peerIdOf } from './adapters/network/peer-id.ts';
import { openReception } from './adapters/network/reception.ts';
import { parseRelease } from './adapters/release/manifest.ts';
import { openSqliteJournal } from './adapters/storage/sqlite-journal.ts';
import {
  type Candidate,
  type Door,
  joinNetwork,
  recordOf,
  registerAtGenesis,
} from './admission/candidate.ts';
import { ReceptionDesk } from './admission/reception-desk.ts';
import { Attestor } from './attestation/attestor.ts';
import { Target } from './attestation/target.ts';
import type { NodeContext } from './context.ts';
import type { CapsuleStore } from './ports/block-store.ts';
import type { Journal } from './ports/journal.ts';
import type { Sandbox } from './ports/sandbox.ts';
import {
  type EvidenceBinding,
  type EvidenceVerdict,
  type Overlay,
  type Reception,
  TransportError,
} from './ports/transport.ts';
import { ADMISSION_BYTES_MAX, type Endpoint, PROTOCOLS, parseEndpoint } from './protocol.ts';
import { ReplicaLoop } from './replica-loop.ts';
import { Bidder } from './tasks/bidder.ts';
import { Executor } from './tasks/executor.ts';
import { RunPhases } from './tasks/phases.ts';
import { Verifier } from './tasks/verifier.ts';
import { Votes } from './votes.ts';

const BLOCK_POLL_MS = 200;
const ADMISSION_TIMEOUT_MS = 120_000;
const CAUGHT_UP_TIMEOUT_MS = 60_000;
/** An epoch is closed from this block of the next one on, so that its last results are in the order. */
const CLOSE_EPOCH_AFTER_BLOCKS = 1;
const CLOSE_EPOCH_AGAIN_MS = 3_000;
/** Slower than the machine's defaults: members may share a processor with all the others. */
const CONSENSUS_SETTINGS = { progressTimeoutMs: 3_000, pulseMs: 1_000 };
const MESSAGE_BYTES_MAX = 8 << 20;
/** Evidence of one TPM may arrive in another order than it was made; a roll-back is larger than that. */
const CLOCK_SLACK_MS = 15_000n;
/** Blocks after which any member closes a draw that is ripe. */
const OVERDUE_BLOCKS = 10;
const EPOCHS_KEPT = 256;
const RECEIPTS_KEPT = 1_024;

export class NodeError extends CodedError<'NODE_NOT_READY' | 'NODE_GENESIS_UNKNOWN'> {}

/** A worker image that this node offers to run tasks in. */
export interface WorkerImage {
  readonly file: string;
  readonly digest: Uint8Array;
  readonly name: string;
}

export interface NodeOptions {
  readonly dir: string;
  readonly network: Network;
  readonly logger: Logger;
  /** Present for a genesis member: the doors of all the others. */
  readonly genesisDoors?: readonly Door[];
  readonly sandbox?: Sandbox;
  readonly image?: WorkerImage;
  openStore(privateKey: Uint8Array, networkId: Uint8Array): Promise<CapsuleStore>;
  /** How the device in `dir` is opened, where not by its own TPM alone. */
  readonly openDevice?: (dir: string) => Promise<Device>;
}

/** What a node publishes of an epoch it has seen closed. */
export interface EpochFacts {
  readonly epoch: number;
  readonly leaves: readonly EpochLeaf[];
}

/**
 * A node: one device, one process. Starts the TPM, measures itself, proves itself to the others, and then does four
 * things for as long as it is trusted: orders, attests, answers, works.
 */
export class Node {
  readonly #options: NodeOptions;
  readonly #device: Device;
  readonly #ledger: Ledger;
  readonly #journal: Journal;
  readonly #desk: ReceptionDesk;
  readonly #reception: Reception;
  readonly #clocks = new Map<string, ClockRecord>();
  readonly #judged = new Map<string, { atMs: number; result: AttestationResult }>();
  readonly #evicted = new Set<string>();
  readonly #evictions: { account: string; accuser: string; accusation: Accusation }[] = [];
  readonly #epochs: EpochFacts[] = [];
  readonly #receipts: { vote: Vote['type']; txHash: string; gasUsed: number; block: number }[] = [];
  readonly #timings: { event: string; atMs: number; detail: string }[] = [];
  readonly #proposed = new Map<string, number>();
  /** The last vote on each subject that was decided before this process had its services; layer 1 may lack them. */
  readonly #votesBefore = new Map<string, Vote>();
  #overlay: Overlay | undefined;
  #loop: ReplicaLoop | undefined;
  #services: Services | undefined;
  #poll: NodeJS.Timeout | undefined;
  #epochSeen = -1;
  #blockSeen = -1;
  #isClosed = false;

  private constructor(
    options: NodeOptions,
    parts: { device: Device; ledger: Ledger; journal: Journal; desk: ReceptionDesk; reception: Reception },
  ) {
    this.#options = options;
    this.#device = parts.device;
    this.#ledger = parts.ledger;
    this.#journal = parts.journal;
    this.#desk = parts.desk;
    this.#reception = parts.reception;
  }

  /** Starts the node and returns once it is a member that has caught up. */
  static async start(options: NodeOptions): Promise<Node> {
    const device = await (options.openDevice ?? openDevice)(options.dir);
    const ledger = await openLedger(options.network, device.keys.accountKey);
    await syncToTip(ledger);
    const genesis = await ledger.read<string[]>('nodeRegistry', 'genesisAccounts');
    const desk = new ReceptionDesk({
      ledger,
      logger: options.logger,
      accounts: new Set(genesis.map((account) => account.toLowerCase())),
    });
    const reception = await openReception({
      privateKey: device.keys.peerSeed,
      listen: `/ip4/127.0.0.1/tcp/${device.facts.ports.reception ?? 0}`,
      networkId: ledger.networkId,
      protocols: {
        [PROTOCOLS.admission]: {
          maxMessageBytes: ADMISSION_BYTES_MAX,
          maxInFlight: 16,
          handle: (peer, message) => desk.handle(peer, message),
        },
      },
    });
    const journal = openSqliteJournal(
      join(device.dir, 'journal.sqlite'),
      `${toHex(ledger.networkId)}:${device.account}`,
    );
    const node = new Node(options, { device, ledger, journal, desk, reception });
    try {
      await node.#measureImage();
      await node.#becomeMember(genesis.map((account) => account.toLowerCase()));
      await node.#connect();
      return node;
    } catch (error) {
      await node.close();
      throw error;
    }
  }

  get account(): string {
    return this.#device.account;
  }

  /** Settles when the node can prove nothing any more, because its TPM is gone: close it, and start it anew. */
  get lost(): Promise<CodedError> {
    return this.#device.lost;
  }

  /** For the operator's control socket. */
  status() {
    const { history } = this.#ledger;
    const state = this.#loop?.state;
    return {
      account: this.#device.account,
      peerId: this.#device.peerId,
      release: toHex(this.#device.release.digest),
      block: history.head,
      epoch: history.epochOf(history.head),
      epochClosed: state?.epochClosed ?? 0,
      sequence: this.#loop?.sequence ?? 0,
      view: this.#loop?.view ?? 0,
      primary: this.#loop?.primary ?? null,
      isMember: state?.roster.has(this.#device.account) ?? false,
      isReady: this.#services !== undefined,
      canExecute: this.#options.sandbox !== undefined && this.#options.image !== undefined,
      peers: this.#overlay?.peers().length ?? 0,
      members:
        state === undefined
          ? []
          : membersInOrder(state.roster).map(({ account, credit, level }) => ({
              account,
              credit,
              level,
              /** How often its TPM had started when this node last saw a quote of it; null before the first. */
              resetCount: this.#clocks.get(account)?.resetCount ?? null,
            })),
      rssMb: Math.round(process.memoryUsage.rss() / 1_048_576),
    };
  }

  /** The public record of what this node has seen decided; everything in it can be held against layer 1. */
  record() {
    const state = this.#loop?.state;
    return {
      account: this.#device.account,
      epochs: this.#epochs.map(({ epoch, leaves }) => ({
        epoch,
        leaves: leaves.map((leaf) => toHex(encodeEpochLeaf(leaf))),
      })),
      // Of a task that is under way nothing is told: not even the operator shall know what runs here (A6).
      tasks: [...(state?.tasks ?? [])]
        .filter(([, task]) => task.outcome !== 'open')
        .map(([taskId, task]) => ({
          taskId,
          attempt: task.attempt,
          outcome: task.outcome,
          startBlock: task.startBlock,
          bids: [...task.bids].map(([account, bid]) => ({
            account,
            execute:
              bid.execute === null
                ? null
                : { beta: toHex(bid.execute.beta), proof: toHex(bid.execute.proof) },
            verify: { beta: toHex(bid.verify.beta), proof: toHex(bid.verify.proof) },
          })),
          election:
            task.election === undefined
              ? null
              : {
                  executor: task.election.executor,
                  salt: toHex(task.election.salt),
                  verifiers: task.election.verifiers,
                },
          certificate: task.certificate === undefined ? null : toHex(task.certificate),
          reports: [...task.reports].map(([account, report]) => ({
            account,
            phases: report.phases.map(({ phase, verdict, quoteDigest }) => ({
              phase,
              verdict,
              quoteDigest: toHex(quoteDigest),
            })),
          })),
        })),
      candidacies: [...(state?.candidacies ?? [])].map(([candidate, candidacy]) => ({
        candidate,
        account: candidacy.record.account,
        applicationDigest: toHex(candidacy.applicationDigest),
        epoch: candidacy.epoch,
        outcome: candidacy.outcome,
        judgements: [...candidacy.judgements].map(([account, judgement]) => ({
          account,
          verdict: judgement.verdict,
          proof: toHex(judgement.proof),
        })),
      })),
      evictions: this.#evictions.map(({ account, accuser, accusation }) => ({
        account,
        accuser,
        epoch: accusation.epoch,
        proof: toHex(accusation.proof),
        nonce: toHex(accusation.nonce),
        evidence: toHex(accusation.evidence),
        answerSignature: toHex(accusation.answerSignature),
      })),
      receipts: this.#receipts,
      timings: this.#timings.filter(({ detail }) => state?.tasks.get(detail)?.outcome !== 'open'),
    };
  }

  /** The newest result that this node's own judge reached about each other node, claim by claim. */
  attestations() {
    return [...this.#judged].map(([account, { atMs, result }]) => ({
      account,
      atMs,
      verdict: result.verdict,
      claims: result.claims.map(({ name, verdict, reason, detail }) => ({ name, verdict, reason, detail })),
    }));
  }

  /**
   * Loads a release manifest: measures it into PCR 14, as an update would before its code runs. The TPM will tell
   * every attestor; whether the release is approved is theirs to judge.
   */
  async loadRelease(manifest: Uint8Array): Promise<{ digest: string }> {
    const release = parseRelease(manifest);
    await this.#device.measured.measure({ kind: 'release', digest: release.digest, name: release.name });
    this.#options.logger.info({ release: toHex(release.digest) }, 'release loaded and measured');
    return { digest: toHex(release.digest) };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#poll);
    this.#loop?.close();
    this.#services?.votes.close();
    await this.#overlay?.close();
    await this.#reception.close();
    await this.#options.sandbox?.close();
    this.#journal.close();
    await this.#device.close();
  }

  /** What can run here is in the TPM before anybody is asked to trust it. */
  async #measureImage(): Promise<void> {
    const { sandbox, image } = this.#options;
    if (sandbox === undefined || image === undefined) return;
    await this.#device.measured.measure({ kind: 'image', digest: image.digest, name: image.name });
    await sandbox.loadImage(image.file, image.digest);
  }

  /** Registered already, founding, or a stranger: the three ways to be a member. */
  async #becomeMember(genesis: readonly string[]): Promise<void> {
    const ledger = this.#ledger;
    const isGenesis = genesis.includes(this.#device.account);
    if (!ledger.history.weights().has(this.#device.account)) {
      const candidate: Candidate = {
        ledger,
        logger: this.#options.logger,
        tpm: this.#device.tpm,
        identity: this.#device.identity,
        measured: this.#device.measured,
        eventLog: this.#device.eventLog,
        ekChain: this.#device.ekChain,
        record: recordOf(this.#device, 1),
      };
      const outward = await openOutward({
        privateKey: this.#device.keys.peerSeed,
        networkId: ledger.networkId,
      });
      try {
        if (isGenesis && !ledger.history.genesisComplete) {
          const doors = this.#options.genesisDoors;
          if (doors === undefined)
            throw new NodeError('NODE_GENESIS_UNKNOWN', 'a genesis member needs the doors of the others');
          await registerAtGenesis(candidate, outward, doors, genesis.length, ADMISSION_TIMEOUT_MS);
        } else {
          await joinNetwork(candidate, outward, this.#doors(), ADMISSION_TIMEOUT_MS);
        }
      } finally {
        await outward.close();
      }
    }
    await ledger.waitFor(() => (ledger.history.genesisComplete ? true : undefined), ADMISSION_TIMEOUT_MS);
  }

  #doors(): Door[] {
    return this.#members().flatMap((member) => {
      const endpoint = this.#endpointOf(member);
      if (endpoint === undefined) return [];
      const address = `${endpoint.reception}/p2p/${peerIdOf(member.peerKey)}`;
      return [{ account: member.account, address }];
    });
  }

  /** Where a member says it is. One that says nonsense is not reached, and troubles nobody else. */
  #endpointOf(member: Member): Endpoint | undefined {
    try {
      const endpoint = parseEndpoint(member.endpoint);
      toPeerAddress(peerIdOf(member.peerKey), endpoint.overlay);
      return endpoint;
    } catch (error) {
      this.#options.logger.debug(
        { account: member.account, code: errorCode(error) },
        'member has no address',
      );
      return undefined;
    }
  }

  /** Members by layer 1 and by consensus, without those that consensus has just evicted. */
  #members(): Member[] {
    const members = new Map<string, Member>();
    const { history } = this.#ledger;
    const weights = history.weights();
    for (const event of history.events) {
      if (event.type === 'node-admitted' && weights.has(event.record.account)) {
        members.set(event.record.account, { ...event.record, credit: event.credit, admittedEpoch: 0 });
      }
    }
    for (const [account, member] of this.#loop?.state.roster ?? []) members.set(account, member);
    for (const account of this.#evicted) members.delete(account);
    return [...members.values()];
  }

  #memberByPeer(peer: string): Member | undefined {
    return this.#members().find((member) => peerIdOf(member.peerKey) === peer);
  }

  async #connect(): Promise<void> {
    const context = this.#context();
    const device = this.#device;
    this.#overlay = await openOverlay({
      privateKey: device.keys.peerSeed,
      listen: `/ip4/127.0.0.1/tcp/${device.facts.ports.overlay ?? 0}`,
      networkId: this.#ledger.networkId,
      collectEvidence: (binding) =>
        this.#collectEvidence(binding.challenge, sessionBinding(binding.self, binding.remote)),
      verifyEvidence: (evidence, binding) => this.#verifySession(evidence, binding),
      isMember: (peer) => this.#memberByPeer(peer) !== undefined,
      protocols: this.#protocols(),
      onPeer: (event) => this.#options.logger.debug({ ...event }, 'peer'),
    });
    this.#reachMembers();
    this.#loop = await ReplicaLoop.start({
      settings: CONSENSUS_SETTINGS,
      ledger: this.#ledger,
      journal: this.#journal,
      logger: this.#options.logger,
      transport: {
        transmit: (to, message) => this.#transmit(to, PROTOCOLS.consensus, message),
        forward: (operation) => this.#transmit(null, PROTOCOLS.request, operation),
        fetch: (from, request) => this.#fetch(from, request),
      },
      sign: device.sign,
      verifySignature: device.verifySignature,
      publicKeyOf: (account) => this.#publicKeyOf(account),
      onEffect: (effect) => this.#onEffect(effect),
    });
    this.#services = this.#openServices(context);
    this.#desk.attach(context);
    this.#poll = setTimeout(() => void this.#pollBlocks(), 0);
    await this.#untilCaughtUp();
    this.#resume(context);
  }

  /**
   * Takes up what an earlier life of this process left undone: votes that layer 1 does not show, draws that were not
   * closed, and a run that died with it, so that another executor is drawn at once and not only when time is up.
   */
  #resume(context: NodeContext): void {
    const { votes } = this.#requireServices();
    for (const vote of this.#votesBefore.values()) this.#watchVote(vote, votes.recast(vote));
    this.#votesBefore.clear();
    const { history } = this.#ledger;
    for (const [id, task] of context.state().tasks) {
      if (task.outcome !== 'open') continue;
      const taskId = fromHex(id);
      if (task.election === undefined) this.#onRetry(taskId, task.attempt);
      else if (task.election.executor === this.#device.account && task.certificate === undefined) {
        const reason = FAILURE_REASONS.MACHINE_ERROR;
        context.propose({ kind: 'abandon', taskId, attempt: task.attempt, reason });
      }
    }
    this.#options.logger.info({ sequence: this.#requireLoop().sequence, block: history.head }, 'caught up');
  }

  #openServices(context: NodeContext): Services {
    const phases = new RunPhases((taskId, attempt, account) => {
      const task = context.state().tasks.get(toHex(taskId));
      return task?.attempt === attempt && (task.election?.verifiers.includes(account) ?? false);
    });
    const votes = new Votes(context, (vote, receipt) => this.#onReceipt(vote, receipt));
    const bidder = new Bidder(context, (task) => this.#canRun(task));
    const { sandbox } = this.#options;
    const executor =
      sandbox === undefined
        ? undefined
        : new Executor(context, {
            sandbox,
            phases,
            openStore: () => {
              const seed = crypto.getRandomValues(new Uint8Array(32));
              return this.#options.openStore(seed, this.#ledger.networkId);
            },
            electionCertificate: (taskId, attempt, timeoutMs) =>
              this.#electionCertificate(taskId, attempt, timeoutMs),
            time: (step, taskId) => this.#time(step, toHex(taskId)),
          });
    return {
      votes,
      bidder,
      executor,
      attestor: new Attestor(context),
      target: new Target(context, phases),
      verifier: new Verifier(context, (taskId, attempt) => bidder.verifyProof(taskId, attempt)),
    };
  }

  #requireServices(): Services {
    if (this.#services === undefined) throw new NodeError('NODE_NOT_READY', 'this node is still starting');
    return this.#services;
  }

  #protocols() {
    const protocol = (
      maxInFlight: number,
      handle: (peer: string, message: Uint8Array) => Promise<Uint8Array | undefined>,
    ) => ({
      maxMessageBytes: MESSAGE_BYTES_MAX,
      maxInFlight,
      handle,
    });
    return {
      [PROTOCOLS.consensus]: protocol(
        256,
        async (_peer, message) => void this.#loop?.receiveMessage(message),
      ),
      [PROTOCOLS.request]: protocol(
        256,
        async (peer, message) => void this.#loop?.receiveRequest(peer, message),
      ),
      [PROTOCOLS.decisions]: protocol(4, async (_peer, message) =>
        this.#requireLoop().decisionsFrom(message),
      ),
      [PROTOCOLS.vote]: protocol(
        64,
        async (peer, message) => void this.#requireServices().votes.receive(peer, message),
      ),
      [PROTOCOLS.challenge]: protocol(8, (peer, message) =>
        this.#requireServices().target.answer(peer, message),
      ),
      [PROTOCOLS.phase]: protocol(4, (peer, message) =>
        this.#requireServices().verifier.onNotice(peer, message),
      ),
    };
  }

  #requireLoop(): ReplicaLoop {
    if (this.#loop === undefined) throw new NodeError('NODE_NOT_READY', 'this node is still starting');
    return this.#loop;
  }

  #context(): NodeContext {
    const device = this.#device;
    return {
      ledger: this.#ledger,
      logger: this.#options.logger,
      measured: device.measured,
      tpm: device.identity,
      sign: device.sign,
      verifySignature: device.verifySignature,
      state: () => this.#requireLoop().state,
      self: () => this.#loop?.state.roster.get(device.account),
      overlay: () => {
        if (this.#overlay === undefined) throw new TransportError('HOST_CLOSED', 'overlay is not open');
        return this.#overlay;
      },
      propose: (body) => this.#requireLoop().propose(body),
      collectEvidence: (challenge, binding) => this.#collectEvidence(challenge, binding),
      quote: async (challenge, binding) => {
        const { attest, signature } = await this.#evidence(challenge, binding);
        return { attest, signature };
      },
      appraiseMember: (member, evidence, expected) => this.#appraiseMember(member, evidence, expected),
    };
  }

  #evidence(challenge: Uint8Array, binding: Uint8Array) {
    const { tpm, identity, measured, eventLog } = this.#device;
    return collectEvidence({
      tpm,
      identity,
      log: measured,
      networkId: this.#ledger.networkId,
      challenge,
      binding,
      eventLog,
    });
  }

  async #collectEvidence(challenge: Uint8Array, binding: Uint8Array): Promise<Uint8Array> {
    return encodeEvidence(await this.#evidence(challenge, binding));
  }

  #appraiseMember(
    member: Member,
    evidence: Uint8Array,
    expected: { challenge: Uint8Array; binding: Uint8Array },
  ) {
    const { history, networkId } = this.#ledger;
    const result = appraise({
      evidence: parseEvidence(evidence),
      endorsements: { akPublic: akPublicArea(member.akX, member.akY), level: toAssuranceLevel(member.level) },
      referenceValues: {
        releases: history.approvedReleases(history.head),
        images: history.approvedImages(history.head),
      },
      policy: judgingPolicy,
      expected: { networkId, ...expected },
      clockBefore: withSlack(this.#clocks.get(member.account)),
      nowMs: Date.now(),
    });
    this.#judged.set(member.account, { atMs: Date.now(), result });
    if (result.authentic && result.clock !== null) this.#rememberClock(member.account, result.clock);
    return result;
  }

  #rememberClock(account: string, clock: ClockRecord): void {
    const known = this.#clocks.get(account);
    const isNewer =
      known === undefined ||
      clock.resetCount > known.resetCount ||
      (clock.resetCount === known.resetCount && clock.clock > known.clock);
    if (isNewer) this.#clocks.set(account, clock);
  }

  async #verifySession(evidence: Uint8Array, binding: EvidenceBinding): Promise<EvidenceVerdict> {
    const member = this.#memberByPeer(binding.remote);
    if (member === undefined)
      return { ok: false, code: 'NOT_A_MEMBER', detail: `${binding.remote} is no member` };
    try {
      const result = this.#appraiseMember(member, evidence, {
        challenge: binding.challenge,
        binding: sessionBinding(binding.remote, binding.self),
      });
      if (result.verdict !== 'contraindicated') return { ok: true };
      const failed = result.claims.filter((claim) => claim.verdict === 'contraindicated');
      return {
        ok: false,
        code: failed[0]?.reason ?? 'EVIDENCE_REFUSED',
        detail: failed.map((claim) => `${claim.name}: ${claim.detail}`).join('; '),
      };
    } catch (error) {
      return { ok: false, code: errorCode(error), detail: 'evidence cannot be read' };
    }
  }

  #transmit(to: string | null, protocol: string, message: Uint8Array): void {
    for (const member of this.#members()) {
      if (member.account === this.#device.account || (to !== null && member.account !== to)) continue;
      this.#overlay?.send(peerIdOf(member.peerKey), protocol, message);
    }
  }

  async #fetch(from: string, request: Uint8Array): Promise<Uint8Array> {
    const member = this.#members().find((candidate) => candidate.account === from);
    if (member === undefined || this.#overlay === undefined) {
      throw new TransportError('PEER_NOT_CONNECTED', `${from} is not reachable`);
    }
    return this.#overlay.request(peerIdOf(member.peerKey), PROTOCOLS.decisions, request, {
      timeoutMs: 5_000,
    });
  }

  #publicKeyOf(account: string): Uint8Array | undefined {
    const current = this.#loop?.state.roster.get(account)?.peerKey;
    if (current !== undefined) return current;
    const event = this.#ledger.history.events.findLast(
      (candidate) => candidate.type === 'node-admitted' && candidate.record.account === account,
    );
    return event?.type === 'node-admitted' ? event.record.peerKey : undefined;
  }

  #reachMembers(): void {
    const others = this.#members().filter((member) => member.account !== this.#device.account);
    this.#overlay?.setMembers(
      others.flatMap((member) => {
        const endpoint = this.#endpointOf(member);
        return endpoint === undefined ? [] : [{ peer: peerIdOf(member.peerKey), address: endpoint.overlay }];
      }),
    );
  }

  async #untilCaughtUp(): Promise<void> {
    const deadline = performance.now() + CAUGHT_UP_TIMEOUT_MS;
    while (!this.#isClosed) {
      const loop = this.#requireLoop();
      if (loop.isCaughtUp && loop.state.roster.has(this.#device.account)) return;
      if (performance.now() > deadline)
        throw new NodeError('NODE_NOT_READY', 'did not catch up with the others in time');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async #pollBlocks(): Promise<void> {
    try {
      await this.#ledger.sync();
      this.#onBlocks();
    } catch (error) {
      this.#options.logger.warn({ code: errorCode(error) }, 'layer 1 does not answer');
    }
    if (!this.#isClosed) this.#poll = setTimeout(() => void this.#pollBlocks(), BLOCK_POLL_MS);
  }

  #onBlocks(): void {
    const { history } = this.#ledger;
    const loop = this.#requireLoop();
    loop.onBlock();
    if (history.head === this.#blockSeen) return;
    const from = this.#blockSeen;
    this.#blockSeen = history.head;
    this.#reachMembers();
    const epoch = history.epochOf(history.head);
    if (epoch !== this.#epochSeen) {
      this.#epochSeen = epoch;
      if (loop.state.roster.has(this.#device.account)) this.#onEpoch(epoch);
    }
    for (const event of history.events) {
      if (event.block <= from) continue;
      if (event.type === 'task-created') this.#onTask(event.task, from === -1);
      if (event.type === 'dispute')
        this.#proposeOnce(`dispute:${toHex(event.dispute.disputeId)}`, 10_000, () =>
          loop.propose({ kind: 'judge-dispute', disputeId: event.dispute.disputeId }),
        );
    }
    this.#overseeTasks(loop.state);
    this.#closeEpoch(loop.state);
  }

  #onEpoch(epoch: number): void {
    const services = this.#requireServices();
    void services.attestor.attestEpoch(epoch).catch((error: unknown) => {
      this.#options.logger.error({ epoch, code: errorCode(error) }, 'attestation of an epoch failed');
    });
  }

  /** Each block gives the next member its turn to close what is due, so that one that is down only delays. */
  #closeEpoch(state: MembershipState): void {
    const { history } = this.#ledger;
    const { head } = history;
    const asOfHead = { ...state, ledgerBlock: head };
    const epoch = epochToClose(asOfHead, history);
    const boundary = history.epochBoundary(history.epochOf(head)) ?? head;
    if (epoch === undefined || head < boundary + CLOSE_EPOCH_AFTER_BLOCKS) return;
    if (!isEpochRipe(asOfHead, history, epoch) || this.#rank(epoch + head) !== 0) return;
    this.#proposeOnce(`close-epoch:${epoch}`, CLOSE_EPOCH_AGAIN_MS, () => {
      this.#loop?.propose({ kind: 'close-epoch', epoch });
    });
  }

  /** This node's place in line for a duty that any member can do and one should. */
  #rank(turn: number): number {
    const order = membersInOrder(this.#requireLoop().state.roster).map((member) => member.account);
    const place = order.indexOf(this.#device.account);
    return place === -1 ? order.length : (place - (turn % order.length) + order.length) % order.length;
  }

  #onTask(task: TaskOnLedger, isOld: boolean): void {
    const state = this.#requireLoop().state;
    const known = state.tasks.get(toHex(task.taskId));
    const isOver = this.#ledger.history.events.some(
      (event) =>
        (event.type === 'task-settled' || event.type === 'task-ended') && event.taskId === toHex(task.taskId),
    );
    if (isOver || (isOld && known !== undefined)) return;
    this.#time('task-seen', toHex(task.taskId));
    this.#bid(task, 1, task.createdBlock, []);
  }

  #bid(task: TaskOnLedger, attempt: number, startBlock: number, excluded: readonly string[]): void {
    void this.#requireServices()
      .bidder.onBidding(task, attempt, startBlock, excluded)
      .catch((error: unknown) =>
        this.#options.logger.error({ task: toHex(task.taskId), code: errorCode(error) }, 'no bid was made'),
      );
  }

  #canRun(task: TaskOnLedger): boolean {
    const { image, sandbox } = this.#options;
    const executor = this.#services?.executor;
    return (
      sandbox !== undefined &&
      image !== undefined &&
      bytesEqual(image.digest, task.imageDigest) &&
      executor !== undefined &&
      !executor.isBusy
    );
  }

  #overseeTasks(state: MembershipState): void {
    const { history } = this.#ledger;
    const nowS = history.blockTimestampS(history.head) ?? 0;
    for (const [id, task] of state.tasks) {
      if (task.outcome !== 'open') continue;
      const taskId = Uint8Array.from(Buffer.from(id, 'hex'));
      if (task.election === undefined) {
        // Whoever had the turn to close has had it: a draw that consensus held up must not stay open.
        if (isDrawRipe(state.roster, task, history.head - OVERDUE_BLOCKS))
          this.#proposeOnce(`close:${id}:${task.attempt}`, 10_000, () => {
            this.#loop?.propose({ kind: 'close-bids', taskId, attempt: task.attempt });
          });
        continue;
      }
      const timeoutS = history.task(taskId, history.head)?.timeoutS ?? 0;
      const electedAtS = history.blockTimestampS(task.election.electedBlock) ?? nowS;
      if (nowS < electedAtS + timeoutS + ATTEMPT_OVERHEAD_S + this.#rank(task.attempt)) continue;
      this.#proposeOnce(`expire:${id}:${task.attempt}`, 10_000, () => {
        this.#loop?.propose({ kind: 'expire', taskId, attempt: task.attempt });
      });
    }
  }

  /** Duties that come up at every block are proposed again only after a while. */
  #proposeOnce(key: string, againAfterMs: number, propose: () => void): void {
    const now = performance.now();
    if (now - (this.#proposed.get(key) ?? Number.NEGATIVE_INFINITY) < againAfterMs) return;
    this.#proposed.set(key, now);
    if (this.#proposed.size > 1_024) this.#proposed.delete(this.#proposed.keys().next().value as string);
    propose();
  }

  async #electionCertificate(
    taskId: Uint8Array,
    attempt: number,
    timeoutMs: number,
  ): Promise<readonly string[]> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const election = this.#requireLoop().state.tasks.get(toHex(taskId))?.election;
      if (election !== undefined) {
        const certificate = await this.#requireServices().votes.certificate({
          type: 'Election',
          taskId,
          attempt,
          executor: election.executor,
          salt: election.salt,
        });
        if (certificate !== undefined) return certificate;
      }
      if (performance.now() > deadline)
        throw new NodeError('NODE_NOT_READY', 'the election was not signed by a quorum in time');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #onEffect(effect: Effect): void {
    const { logger } = this.#options;
    switch (effect.type) {
      case 'vote':
        if (this.#services === undefined) this.#votesBefore.set(subjectOf(effect.vote), effect.vote);
        else this.#watchVote(effect.vote, this.#services.votes.cast(effect.vote));
        return;
      case 'roster':
        this.#reachMembers();
        return;
      case 'candidacy':
        void this.#desk.onCandidacy(effect.candidate).catch((error: unknown) => {
          logger.error({ code: errorCode(error) }, 'could not draw for a candidate');
        });
        return;
      case 'candidacy-closed':
        if (effect.admitted) this.#readmit(effect.record);
        logger.info({ account: effect.record.account, admitted: effect.admitted }, 'candidacy decided');
        return;
      case 'evicted':
        this.#evict(effect);
        return;
      case 'epoch-closed':
        this.#epochs.push({ epoch: effect.epoch, leaves: effect.leaves });
        if (this.#epochs.length > EPOCHS_KEPT) this.#epochs.shift();
        return;
      case 'bidding':
        this.#onRetry(effect.taskId, effect.attempt);
        return;
      case 'elected':
        this.#time('elected', toHex(effect.taskId));
        if (effect.election.executor === this.#device.account) {
          void this.#services?.executor?.execute(effect.taskId, effect.attempt, effect.election);
        }
        return;
      case 'task-closed':
        this.#time(effect.outcome, toHex(effect.taskId));
        logger.info(
          { task: toHex(effect.taskId), outcome: effect.outcome, reason: effect.reason },
          'task closed',
        );
        return;
      case 'rejected':
        logger.debug(
          { author: effect.author, kind: effect.kind, code: effect.code },
          'operation had no effect',
        );
        return;
    }
  }

  #watchVote(vote: Vote, casting: Promise<void>): void {
    void casting.catch((error: unknown) =>
      this.#options.logger.error({ vote: vote.type, code: errorCode(error) }, 'vote not cast'),
    );
  }

  #onRetry(taskId: Uint8Array, attempt: number): void {
    const { history } = this.#ledger;
    const task = history.task(taskId, history.head);
    const state = this.#requireLoop().state.tasks.get(toHex(taskId));
    if (task === undefined || state === undefined) return;
    this.#bid(task, attempt, state.startBlock, state.excluded);
  }

  /** Everybody drops an evicted member at once; layer 1 follows by certificate. */
  #evict({ account, peerKey, accuser, accusation }: Extract<Effect, { type: 'evicted' }>): void {
    this.#evicted.add(account);
    this.#evictions.push({ account, accuser, accusation });
    this.#time('evicted', account);
    this.#options.logger.warn({ account, epoch: accusation.epoch, accuser }, 'member evicted');
    this.#overlay?.evict(peerIdOf(peerKey)).catch((error: unknown) => {
      this.#options.logger.error(
        { account, code: errorCode(error) },
        'connection to an evicted member not cut',
      );
    });
    this.#reachMembers();
  }

  #readmit(record: NodeRecord): void {
    this.#evicted.delete(record.account);
    this.#overlay?.readmit(peerIdOf(record.peerKey));
    this.#reachMembers();
  }

  #onReceipt(vote: Vote, receipt: Receipt): void {
    this.#receipts.push({ vote: vote.type, ...receipt });
    if (this.#receipts.length > RECEIPTS_KEPT) this.#receipts.shift();
  }

  #time(event: string, detail: string): void {
    this.#timings.push({ event, atMs: Date.now(), detail });
    if (this.#timings.length > RECEIPTS_KEPT) this.#timings.shift();
  }
}

interface Services {
  readonly votes: Votes;
  readonly bidder: Bidder;
  readonly executor: Executor | undefined;
  readonly attestor: Attestor;
  readonly target: Target;
  readonly verifier: Verifier;
}

/** What a vote decides: a later one on the same subject makes it obsolete. */
function subjectOf(vote: Vote): string {
  switch (vote.type) {
    case 'Admission':
      return `member ${vote.record.account}`;
    case 'Eviction':
      return `member ${vote.account}`;
    case 'EpochRecord':
      return 'epoch';
    case 'Election':
      return `election ${toHex(vote.taskId)}`;
    case 'Settlement':
    case 'TaskFailure':
      return `end ${toHex(vote.taskId)}`;
    case 'DisputeVerdict':
      return `dispute ${toHex(vote.disputeId)}`;
  }
}

/** A long chain comes in rounds, and what its last blocks say of this node counts. */
async function syncToTip(ledger: Ledger): Promise<void> {
  let blocks: number;
  do blocks = await ledger.sync();
  while (blocks > 0);
}

/** What the evidence of a handshake is bound to: who shows it to whom. */
function sessionBinding(prover: string, verifier: string): Uint8Array {
  return hashDomain('nemea/session/1', new TextEncoder().encode(prover), new TextEncoder().encode(verifier));
}

function withSlack(record: ClockRecord | undefined): ClockRecord | undefined {
  if (record === undefined) return undefined;
  return { ...record, clock: record.clock > CLOCK_SLACK_MS ? record.clock - CLOCK_SLACK_MS : 0n };
}
