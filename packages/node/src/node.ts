import { collectEvidence, encodeEvidence } from '@nemea/attestation';
import { assertNever, type CodedError, errorCode, toHex } from '@nemea/core';
import { type Effect, membersInOrder, type TaskOnLedger, type Vote } from '@nemea/membership';
import type { Ledger } from '@nemea/sdk';
import type { Logger } from 'pino';
import { becomeMember } from './admission/become-member.ts';
import type { Door } from './admission/candidate.ts';
import { ReceptionDesk } from './admission/reception-desk.ts';
import { Appraisals, sessionBinding } from './attestation/appraisals.ts';
import { Chronicle } from './chronicle.ts';
import type { NodeContext } from './context.ts';
import { NodeError } from './errors.ts';
import { Outbox } from './outbox.ts';
import { Members } from './peers/members.ts';
import { peerIdOf } from './peers/peer-id.ts';
import { sleep, type Timer } from './ports/clock.ts';
import type { Device } from './ports/device.ts';
import type { Journal } from './ports/journal.ts';
import type { NodePorts } from './ports/node-ports.ts';
import { type Overlay, TransportError } from './ports/transport.ts';
import { ADMISSION_BYTES_MAX, PROTOCOLS } from './protocol.ts';
import { ReplicaLoop } from './replica-loop.ts';
import { openServices, type Services } from './services.ts';

const BLOCK_POLL_MS = 200;
const CAUGHT_UP_TIMEOUT_MS = 60_000;
const CAUGHT_UP_POLL_MS = 50;
const FETCH_TIMEOUT_MS = 5_000;
const DISPUTE_AGAIN_MS = 10_000;
/** Slower than the machine's defaults: members may share a processor with all the others. */
const CONSENSUS_SETTINGS = { progressTimeoutMs: 3_000, pulseMs: 1_000 };
const MESSAGE_BYTES_MAX = 8 << 20;

/** A worker image that this node offers to run tasks in. */
export interface WorkerImage {
  readonly file: string;
  readonly digest: Uint8Array;
  readonly name: string;
}

export interface NodeOptions {
  readonly logger: Logger;
  /** Account that owns this node, has paid into its deposit and gets it back; its own account if absent. */
  readonly owner?: string;
  /** Present for a genesis member: the doors of all the others. */
  readonly genesisDoors?: readonly Door[];
  readonly image?: WorkerImage;
}

/** Starts a node: opens its machine, proves it to the others, and returns once it is a member that has caught up. */
export async function startNode(ports: NodePorts, options: NodeOptions): Promise<Node> {
  const closers = new AsyncDisposableStack();
  closers.defer(() => ports.sandbox?.close());
  try {
    const device = await ports.openDevice();
    closers.defer(() => device.close());
    const ledger = await ports.openLedger(device.keys.accountKey);
    await syncToTip(ledger);
    const journal = ports.openJournal(`${toHex(ledger.networkId)}:${device.account}`);
    closers.defer(() => journal.close());
    const node = new Node(ports, options, { device, ledger, journal, closers });
    await node.openDoor();
    await node.measureImage();
    await node.becomeMember();
    await node.connect();
    await node.catchUp();
    node.resume();
    return node;
  } catch (error) {
    await closers.disposeAsync().catch((failure: unknown) => {
      options.logger.error(
        { code: errorCode(failure), err: failure },
        'not all was closed of what was opened',
      );
    });
    throw error;
  }
}

/** A member, as `startNode` made it: orders, attests, answers and works for as long as it is trusted. */
export class Node {
  readonly #ports: NodePorts;
  readonly #options: NodeOptions;
  readonly #device: Device;
  readonly #ledger: Ledger;
  readonly #journal: Journal;
  readonly #members: Members;
  readonly #appraisals: Appraisals;
  readonly #chronicle: Chronicle;
  readonly #closers: AsyncDisposableStack;
  readonly #outbox: Outbox;
  readonly #lost = Promise.withResolvers<CodedError>();
  #genesisAccounts: readonly string[] = [];
  #desk: ReceptionDesk | undefined;
  #overlay: Overlay | undefined;
  #loop: ReplicaLoop | undefined;
  #services: Services | undefined;
  #poll: Timer | undefined;
  #blockSeen = -1;
  #isReturning = false;
  #isClosed = false;

  constructor(
    ports: NodePorts,
    options: NodeOptions,
    parts: { device: Device; ledger: Ledger; journal: Journal; closers: AsyncDisposableStack },
  ) {
    const { device, ledger, journal, closers } = parts;
    this.#ports = ports;
    this.#options = options;
    this.#device = device;
    this.#ledger = ledger;
    this.#journal = journal;
    this.#members = new Members(ledger, options.logger, () => this.#loop?.state);
    this.#appraisals = new Appraisals(ledger, ports.clock, this.#members);
    this.#chronicle = new Chronicle(ports.clock, journal);
    this.#outbox = new Outbox(journal);
    this.#closers = closers;
    void device.lost.then(this.#lost.resolve);
  }

  get account(): string {
    return this.#device.account;
  }

  /** Settles when the node is of no use any more, its TPM gone or its journal not writable: close it, and start it anew. */
  get lost(): Promise<CodedError> {
    return this.#lost.promise;
  }

  /** Puts on disk what is executed: what an operator is told after it, no crash takes back [CONS-22]. */
  settle(): void {
    this.#loop?.settle();
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
      isFollowing: this.#loop?.isFollowing ?? false,
      canExecute: this.#ports.sandbox !== undefined && this.#options.image !== undefined,
      peers: this.#overlay?.peers().length ?? 0,
      members:
        state === undefined
          ? []
          : membersInOrder(state.roster).map(({ account, credit, level }) => ({
              account,
              credit,
              level,
              resetCount: this.#appraisals.resetCountOf(account) ?? null,
            })),
    };
  }

  /** The public record of what this node has seen decided. */
  record() {
    return this.#chronicle.record(this.#device.account, this.#loop?.state);
  }

  /** What a quorum of members says of the network now, this one among them [CONS-29]. */
  agreed() {
    return this.#requireServices().reads.agreed();
  }

  /** The newest result that this node's own judge reached about each other node, claim by claim. */
  attestations() {
    return this.#appraisals.newest();
  }

  /**
   * Loads a release: measures it into PCR 14, as an update would before its code runs. The TPM will tell every
   * attestor; whether the release is approved is theirs to judge.
   */
  async loadRelease({ digest, name }: { digest: Uint8Array; name: string }): Promise<{ digest: string }> {
    await this.#device.measured.measure({ kind: 'release', digest, name });
    this.#options.logger.info({ release: toHex(digest) }, 'release loaded and measured');
    return { digest: toHex(digest) };
  }

  /** Closes all that it has opened, the newest first; what cannot be closed keeps nothing else open. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#closers.disposeAsync();
  }

  /** Strangers may knock from now on; before genesis they are all that there is. */
  async openDoor(): Promise<void> {
    const { clock, random, openReception } = this.#ports;
    const { logger } = this.#options;
    const ledger = this.#ledger;
    const genesis = await ledger.read<string[]>('nodeRegistry', 'genesisAccounts');
    this.#genesisAccounts = genesis.map((account) => account.toLowerCase());
    const accounts = new Set(this.#genesisAccounts);
    const desk = new ReceptionDesk({ clock, random, ledger, logger, accounts });
    this.#desk = desk;
    const reception = await openReception({
      privateKey: this.#device.keys.peerSeed,
      listen: this.#device.endpoint.reception,
      networkId: ledger.networkId,
      protocols: {
        [PROTOCOLS.admission]: {
          maxMessageBytes: ADMISSION_BYTES_MAX,
          maxInFlight: 16,
          handle: (peer, message) => desk.handle(peer, message),
        },
      },
    });
    this.#closers.defer(() => reception.close());
  }

  /** What can run here is in the TPM before anybody is asked to trust it. */
  async measureImage(): Promise<void> {
    const { image } = this.#options;
    const { sandbox } = this.#ports;
    if (sandbox === undefined || image === undefined) return;
    await this.#device.measured.measure({ kind: 'image', digest: image.digest, name: image.name });
    await sandbox.loadImage(image.file, image.digest);
  }

  async becomeMember(): Promise<void> {
    const { history } = this.#ledger;
    // Before the first epoch is on record nobody has voted on much; all members may then start without a journal.
    const hasBegun = history.events.some(({ type }) => type === 'epoch');
    this.#isReturning = hasBegun && history.weights().has(this.#device.account);
    await becomeMember(
      {
        device: this.#device,
        ledger: this.#ledger,
        logger: this.#options.logger,
        members: this.#members,
        genesisAccounts: this.#genesisAccounts,
        owner: this.#options.owner,
        genesisDoors: this.#options.genesisDoors,
      },
      this.#ports,
    );
  }

  /** Overlay, consensus, services: from here on this node takes part. */
  async connect(): Promise<void> {
    const context = this.#context();
    const overlay = await this.#openOverlay();
    this.#overlay = overlay;
    this.#closers.defer(() => overlay.close());
    this.#members.reach(overlay);
    const loop = await this.#startLoop();
    this.#loop = loop;
    this.#closers.defer(() => loop.close());
    const services = openServices(context, this.#ports, {
      chronicle: this.#chronicle,
      imageDigest: this.#options.image?.digest,
      order: loop,
    });
    this.#services = services;
    this.#closers.defer(() => services.votes.close());
    this.#desk?.attach(context);
    this.#poll = this.#ports.clock.after(0, () => void this.#pollBlocks());
    this.#closers.defer(() => this.#poll?.cancel());
  }

  /** Throws `NODE_NOT_READY` when it does not know what the others know in time. */
  async catchUp(): Promise<void> {
    const { clock } = this.#ports;
    const deadlineMs = clock.elapsedMs() + CAUGHT_UP_TIMEOUT_MS;
    while (!this.#isClosed) {
      const loop = this.#requireLoop();
      if (loop.isCaughtUp && loop.state.roster.has(this.#device.account)) return;
      if (clock.elapsedMs() > deadlineMs)
        throw new NodeError('NODE_NOT_READY', 'did not catch up with the others in time');
      await sleep(clock, CAUGHT_UP_POLL_MS);
    }
  }

  /** Takes up what an earlier life of this process left undone: votes that layer 1 does not show, draws, runs. */
  resume(): void {
    const { votes, tasks } = this.#requireServices();
    for (const vote of this.#outbox.votes()) this.#watchVote(vote, votes.recast(vote));
    tasks.resume();
    const { sequence } = this.#requireLoop();
    this.#options.logger.info({ sequence, block: this.#ledger.history.head }, 'caught up');
  }

  async #openOverlay(): Promise<Overlay> {
    const device = this.#device;
    return this.#ports.openOverlay({
      privateKey: device.keys.peerSeed,
      listen: device.endpoint.overlay,
      networkId: this.#ledger.networkId,
      collectEvidence: (binding) =>
        this.#collectEvidence(binding.challenge, sessionBinding(binding.self, binding.remote)),
      verifyEvidence: (evidence, binding) => this.#appraisals.verifySession(evidence, binding),
      isMember: (peer) => this.#members.byPeer(peer) !== undefined,
      protocols: this.#protocols(),
      onPeer: (event) => this.#options.logger.debug({ ...event }, 'peer'),
    });
  }

  #startLoop(): Promise<ReplicaLoop> {
    const { sign, verifySignature } = this.#device;
    return ReplicaLoop.start({
      settings: CONSENSUS_SETTINGS,
      clock: this.#ports.clock,
      ledger: this.#ledger,
      journal: this.#journal,
      logger: this.#options.logger,
      transport: {
        transmit: (to, message) => this.#transmit(to, PROTOCOLS.consensus, message),
        forward: (operation) => this.#transmit(null, PROTOCOLS.request, operation),
        fetch: (from, request) => this.#fetch(from, request),
      },
      sign,
      verifySignature,
      publicKeyOf: (author) => this.#members.publicKeyOf(author),
      onEffect: (effect) => this.#onEffect(effect),
      onStopped: this.#lost.resolve,
      onEquivocation: (culprit, proof) => this.#services?.equivocations.take(culprit, proof),
      isReturning: this.#isReturning,
      random: this.#ports.random,
    });
  }

  #protocols() {
    const protocol = (
      maxInFlight: number,
      handle: (peer: string, message: Uint8Array) => Promise<Uint8Array | undefined>,
    ) => ({ maxMessageBytes: MESSAGE_BYTES_MAX, maxInFlight, handle });
    return {
      [PROTOCOLS.consensus]: protocol(
        256,
        async (peer, message) => void this.#loop?.receiveMessage(peer, message),
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
      [PROTOCOLS.query]: protocol(8, async (_peer, message) => this.#requireServices().reads.answer(message)),
      [PROTOCOLS.phase]: protocol(4, (peer, message) =>
        this.#requireServices().verifier.onNotice(peer, message),
      ),
    };
  }

  #requireLoop(): ReplicaLoop {
    if (this.#loop === undefined) throw new NodeError('NODE_NOT_READY', 'this node is still starting');
    return this.#loop;
  }

  #requireServices(): Services {
    if (this.#services === undefined) throw new NodeError('NODE_NOT_READY', 'this node is still starting');
    return this.#services;
  }

  #context(): NodeContext {
    const device = this.#device;
    return {
      clock: this.#ports.clock,
      random: this.#ports.random,
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
      appraiseMember: (member, evidence, expected) =>
        this.#appraisals.appraiseMember(member, evidence, expected),
    };
  }

  #evidence(challenge: Uint8Array, binding: Uint8Array) {
    const { tpm, identity, measured, eventLog } = this.#device;
    const { networkId } = this.#ledger;
    return collectEvidence({ tpm, identity, log: measured, networkId, challenge, binding, eventLog });
  }

  async #collectEvidence(challenge: Uint8Array, binding: Uint8Array): Promise<Uint8Array> {
    return encodeEvidence(await this.#evidence(challenge, binding));
  }

  /** Best effort: what work under way says while the node is closing is lost, as on any network. */
  #transmit(to: string | null, protocol: string, message: Uint8Array): void {
    if (this.#isClosed) return;
    for (const member of this.#members.others()) {
      if (to === null || member.account === to)
        this.#overlay?.send(peerIdOf(member.peerKey), protocol, message);
    }
  }

  async #fetch(from: string, request: Uint8Array): Promise<Uint8Array> {
    const member = this.#members.all().find((candidate) => candidate.account === from);
    if (member === undefined || this.#overlay === undefined) {
      throw new TransportError('PEER_NOT_CONNECTED', `${from} is not reachable`);
    }
    const options = { timeoutMs: FETCH_TIMEOUT_MS };
    return this.#overlay.request(peerIdOf(member.peerKey), PROTOCOLS.decisions, request, options);
  }

  async #pollBlocks(): Promise<void> {
    try {
      await this.#ledger.sync();
      if (!this.#isClosed) this.#onBlocks();
    } catch (error) {
      this.#options.logger.warn({ code: errorCode(error) }, 'layer 1 does not answer');
    }
    if (this.#isClosed) return;
    this.#poll = this.#ports.clock.after(BLOCK_POLL_MS, () => void this.#pollBlocks());
  }

  #onBlocks(): void {
    const { history } = this.#ledger;
    this.#requireLoop().onBlock();
    if (history.head === this.#blockSeen) return;
    const { enrolments, epochs, tasks, equivocations } = this.#requireServices();
    const blockBefore = this.#blockSeen;
    this.#blockSeen = history.head;
    if (this.#overlay !== undefined) this.#members.reach(this.#overlay);
    for (const event of history.events) {
      if (event.block <= blockBefore) continue;
      if (event.type === 'task-created') this.#onTask(event.task, blockBefore === -1);
      if (event.type === 'dispute') this.#judgeDispute(event.dispute.disputeId);
    }
    tasks.onBlock();
    enrolments.onBlock();
    epochs.onBlock();
    equivocations.onBlock();
  }

  #onTask(task: TaskOnLedger, isOld: boolean): void {
    if (this.#requireServices().tasks.onTask(task, isOld))
      this.#chronicle.time('task-seen', toHex(task.taskId));
  }

  #judgeDispute(disputeId: Uint8Array): void {
    this.#requireServices().repeats.once(`dispute:${toHex(disputeId)}`, DISPUTE_AGAIN_MS, () =>
      this.#requireLoop().propose({ kind: 'judge-dispute', disputeId }),
    );
  }

  #onEffect(effect: Effect): void {
    const { logger } = this.#options;
    const overlay = this.#overlay;
    switch (effect.type) {
      case 'vote':
        this.#outbox.add(effect.vote);
        if (this.#services !== undefined)
          this.#watchVote(effect.vote, this.#services.votes.cast(effect.vote));
        return;
      case 'rejoined':
        logger.info({ account: effect.account }, 'member came back without its journal');
        return;
      case 'roster':
        if (overlay !== undefined) this.#members.follow(overlay, effect.roster);
        return;
      case 'candidacy':
        void this.#desk?.onCandidacy(effect.candidate).catch((error: unknown) => {
          logger.error({ code: errorCode(error), err: error }, 'could not draw for a candidate');
        });
        return;
      case 'candidacy-closed':
        logger.info({ account: effect.record.account, admitted: effect.admitted }, 'candidacy decided');
        return;
      case 'enrolled':
        if (overlay !== undefined) this.#members.readmit(overlay, effect.record);
        logger.info({ account: effect.record.account }, 'member enrolled');
        return;
      case 'evicted':
        this.#onEvicted(effect);
        return;
      case 'update-missed':
        logger.warn({ account: effect.account, accuser: effect.accuser }, 'member missed an update');
        return;
      case 'equivocated':
        logger.warn({ account: effect.account, accuser: effect.accuser }, 'member equivocated');
        return;
      case 'epoch-closed':
        this.#chronicle.addEpoch({ epoch: effect.epoch, leaves: effect.leaves });
        return;
      case 'bidding':
        this.#services?.tasks.onRetry(effect.taskId, effect.attempt);
        return;
      case 'elected':
        this.#chronicle.time('elected', toHex(effect.taskId));
        if (effect.election.executor === this.#device.account)
          void this.#services?.executor?.execute(effect.taskId, effect.attempt, effect.election);
        return;
      case 'task-closed':
        this.#chronicle.time(effect.outcome, toHex(effect.taskId));
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
      default:
        assertNever(effect);
    }
  }

  #watchVote(vote: Vote, casting: Promise<void>): void {
    void casting.catch((error: unknown) =>
      this.#options.logger.error({ vote: vote.type, code: errorCode(error), err: error }, 'vote not cast'),
    );
  }

  #onEvicted({ account, peerKey, accuser, accusation }: Extract<Effect, { type: 'evicted' }>): void {
    const { logger } = this.#options;
    this.#chronicle.addEviction({ account, accuser, accusation });
    logger.warn({ account, epoch: accusation.epoch, accuser }, 'member evicted');
    if (this.#overlay === undefined) return;
    void this.#members.evict(this.#overlay, account, peerKey).catch((error: unknown) => {
      logger.error(
        { account, code: errorCode(error), err: error },
        'connection to an evicted member not cut',
      );
    });
  }
}

/** A long chain comes in rounds, and what its last blocks say of this node counts. */
async function syncToTip(ledger: Ledger): Promise<void> {
  let blocks: number;
  do blocks = await ledger.sync();
  while (blocks > 0);
}
