import { CodedError, sha256, toHex } from '@nemea/core';
import {
  candidateId,
  conflictsWith,
  drawnFrom,
  JUDGES_EXPECTED,
  judgeAlpha,
  type MembershipState,
} from '@nemea/membership';
import { type Ledger, LedgerError } from '@nemea/sdk';
import type { Logger } from 'pino';
import type { NodeContext } from '../context.ts';
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import {
  type AdmissionRequest,
  type AdmissionResponse,
  type Application,
  admissionRequestCodec,
  admissionResponseCodec,
  applicationCodec,
} from '../protocol.ts';
import { beginTrial, concludeTrial, requireStanding, type Trial } from './judge.ts';

/** Candidates that may stand at the desk at a time, and how long one may take. */
const TRIALS_MAX = 64;
/** Draws kept for candidates that may still come to this desk. */
const PROOFS_MAX = 256;
const TRIAL_TIMEOUT_MS = 60_000;
const REASON_CHARS_MAX = 256;
/** How long a judge waits for the others before it asks for the decision, and how often it asks again. */
const CLOSE_AFTER_MS = 1_500;
const CLOSE_TRIES = 6;

export class AdmissionError extends CodedError<'CANDIDATE_UNKNOWN' | 'NOT_A_JUDGE' | 'DESK_FULL'> {}

interface Pending {
  readonly application: Uint8Array;
  /** Who applied, by its peer key: nobody else answers in its place. */
  readonly peer: string;
  startedMs: number;
  /** Last epoch in which this desk put the application into the order. */
  proposedEpoch: number;
  trial?: Trial;
  judged?: Extract<AdmissionResponse, { kind: 'judged' }>;
}

/** What the desk needs before there is a network: at genesis every named account judges every other. */
export interface GenesisJudging {
  readonly clock: Clock;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly accounts: ReadonlySet<string>;
}

/**
 * The one door for strangers. Takes applications, gives challenges to those this node is drawn to judge, judges their
 * answers, and tells the outcome. Everything that a stranger sends is parsed, bounded and forgotten after a while.
 */
export class ReceptionDesk {
  readonly #genesis: GenesisJudging;
  #context: NodeContext | undefined;
  readonly #pending = new Map<string, Pending>();
  readonly #proofs = new Map<string, { proof: Uint8Array; epoch: number }>();

  constructor(genesis: GenesisJudging) {
    this.#genesis = genesis;
  }

  /** From here on candidates are judged by drawn members, and decided by consensus. */
  attach(context: NodeContext): void {
    this.#context = context;
  }

  async handle(peer: string, message: Uint8Array): Promise<Uint8Array> {
    const request = admissionRequestCodec.parse(message);
    return admissionResponseCodec.encode(await this.#respond(peer, request));
  }

  /** A candidacy entered the order: draw this node as its judge. */
  async onCandidacy(candidate: Uint8Array): Promise<void> {
    const context = this.#context;
    const self = context?.self();
    const candidacy = context?.state().candidacies.get(toHex(candidate));
    if (context === undefined || self === undefined || candidacy === undefined) return;
    this.#forgetTrial(toHex(candidate));
    const epochSeed = context.ledger.history.epochSeed(candidacy.epoch);
    if (epochSeed === undefined) return;
    const alpha = judgeAlpha({ networkId: context.ledger.networkId, epochSeed }, candidate);
    const { beta, proof } = await context.tpm.vrfProve(alpha);
    if (drawnFrom(context.state().roster, self, beta, JUDGES_EXPECTED)) {
      this.#proofs.set(toHex(candidate), { proof, epoch: candidacy.epoch });
      context.propose({ kind: 'sit', candidate, epoch: candidacy.epoch, proof });
      if (this.#proofs.size > PROOFS_MAX) this.#proofs.delete(this.#proofs.keys().next().value as string);
    }
  }

  async #respond(peer: string, request: AdmissionRequest): Promise<AdmissionResponse> {
    switch (request.kind) {
      case 'apply':
        return await this.#apply(peer, request.application);
      case 'challenge':
        return this.#challenge(peer, toHex(request.candidate));
      case 'answer':
        return this.#judge(peer, toHex(request.candidate), request);
      case 'status':
        return { kind: 'status', outcome: this.#outcome(request.candidate) };
    }
  }

  async #apply(peer: string, applicationBytes: Uint8Array): Promise<AdmissionResponse> {
    const application = applicationCodec.parse(applicationBytes);
    const { ledger } = this.#genesis;
    const digest = sha256(applicationBytes);
    const candidate = candidateId(application.record, digest);
    const obstacles = await this.#obstacles(peer, application, toHex(candidate));
    if (obstacles.length > 0) {
      return { kind: 'judged', verdict: 'contraindicated', reasons: obstacles, vote: null };
    }
    const pending = this.#standInLine(peer, toHex(candidate), applicationBytes);
    const epoch = ledger.history.epochOf(ledger.history.head);
    if (this.#context !== undefined && pending.proposedEpoch < epoch) {
      pending.proposedEpoch = epoch;
      this.#context.propose({ kind: 'apply', record: application.record, applicationDigest: digest });
    }
    return { kind: 'accepted', candidate };
  }

  /** What no judge needs to be drawn for: no standing, or an account, key or TPM that a member has already. */
  async #obstacles(peer: string, application: Application, id: string): Promise<string[]> {
    const obstacles: string[] = [];
    try {
      await requireStanding(this.#genesis.ledger, peer, application);
    } catch (error) {
      if (!(error instanceof CodedError) || error instanceof LedgerError) throw error;
      obstacles.push(`${error.code}: ${error.message}`.slice(0, REASON_CHARS_MAX));
    }
    const state = this.#context?.state();
    // A candidate that consensus has just admitted asks on until layer 1 says so, too.
    const isAdmitted = state?.candidacies.get(id)?.outcome === 'admitted';
    if (state !== undefined && !isAdmitted && conflictsWith(state.roster, application.record)) {
      obstacles.push('CANDIDATE_CONFLICTS: a member has this account, peer key, TPM or VRF key');
    }
    return obstacles;
  }

  /** One place for each peer: a new application takes that of the old one, and has to wait for the next epoch like it. */
  #standInLine(peer: string, id: string, application: Uint8Array): Pending {
    this.#forgetOld();
    const known = this.#pending.get(id);
    if (known !== undefined) {
      this.#renew(id, known);
      return known;
    }
    let proposedEpoch = -1;
    for (const [other, pending] of this.#pending) {
      if (pending.peer !== peer) continue;
      proposedEpoch = pending.proposedEpoch;
      this.#pending.delete(other);
      this.#proofs.delete(other);
    }
    if (this.#pending.size >= TRIALS_MAX)
      throw new AdmissionError('DESK_FULL', `more than ${TRIALS_MAX} candidates`);
    const pending: Pending = { application, peer, startedMs: this.#genesis.clock.wallMs(), proposedEpoch };
    this.#pending.set(id, pending);
    return pending;
  }

  /** An open candidacy of an earlier epoch gets another jury: what this node said in the old one counts no more. */
  #renew(id: string, pending: Pending): void {
    pending.startedMs = this.#genesis.clock.wallMs();
    const { history } = this.#genesis.ledger;
    const candidacy = this.#context?.state().candidacies.get(id);
    if (candidacy?.outcome === 'open' && candidacy.epoch < history.epochOf(history.head))
      this.#forgetTrial(id);
  }

  #forgetTrial(id: string): void {
    this.#proofs.delete(id);
    const pending = this.#pending.get(id);
    delete pending?.trial;
    delete pending?.judged;
  }

  #pendingOf(peer: string, id: string): Pending {
    const pending = this.#pending.get(id);
    if (pending?.peer !== peer) throw new AdmissionError('CANDIDATE_UNKNOWN', 'this peer did not apply here');
    return pending;
  }

  async #challenge(peer: string, id: string): Promise<AdmissionResponse> {
    const pending = this.#pendingOf(peer, id);
    if (!this.#mayJudge(id, pending)) return { kind: 'wait', code: 'NOT_A_JUDGE' };
    if (pending.judged !== undefined) return pending.judged;
    const { clock, ledger, random } = this.#genesis;
    try {
      pending.trial = await beginTrial(ledger, pending.application, { nowMs: clock.wallMs(), random });
    } catch (error) {
      // That layer 1 does not answer is nothing against the candidate.
      if (!(error instanceof CodedError) || error instanceof LedgerError) throw error;
      return this.#record(id, pending, {
        verdict: 'contraindicated',
        reasons: [`${error.code}: ${error.message}`.slice(0, REASON_CHARS_MAX)],
        resultDigest: sha256(new TextEncoder().encode(error.code)),
      });
    }
    return {
      kind: 'challenge',
      credentialBlob: pending.trial.enrolment.credential.credentialBlob,
      encryptedSecret: pending.trial.enrolment.credential.encryptedSecret,
      nonce: pending.trial.nonce,
    };
  }

  async #judge(
    peer: string,
    id: string,
    answer: Extract<AdmissionRequest, { kind: 'answer' }>,
  ): Promise<AdmissionResponse> {
    const pending = this.#pendingOf(peer, id);
    if (pending.trial === undefined) throw new AdmissionError('CANDIDATE_UNKNOWN', 'no challenge was given');
    if (pending.judged !== undefined) return pending.judged;
    return this.#record(
      id,
      pending,
      concludeTrial(this.#genesis.ledger, pending.trial, answer, this.#genesis.clock.wallMs()),
    );
  }

  /** Before genesis the verdict is a signed vote in the candidate's own hand; later an operation before all members. */
  async #record(
    id: string,
    pending: Pending,
    judged: {
      verdict: 'affirming' | 'warning' | 'contraindicated';
      reasons: string[];
      resultDigest: Uint8Array;
    },
  ): Promise<AdmissionResponse> {
    const { record } = applicationCodec.parse(pending.application);
    const isGenesis = this.#context === undefined;
    const affirms = judged.verdict !== 'contraindicated';
    pending.judged = {
      kind: 'judged',
      verdict: judged.verdict,
      reasons: judged.reasons.slice(0, 64).map((reason) => reason.slice(0, REASON_CHARS_MAX)),
      vote:
        isGenesis && affirms
          ? await this.#genesis.ledger.signVote({ type: 'Admission', record, epoch: 0 })
          : null,
    };
    this.#genesis.logger.info(
      { candidate: record.account, verdict: judged.verdict, reasons: judged.reasons },
      'judged a candidate',
    );
    if (this.#context !== undefined) this.#proposeJudgement(this.#context, id, judged);
    return pending.judged;
  }

  #proposeJudgement(
    context: NodeContext,
    id: string,
    judged: { verdict: 'affirming' | 'warning' | 'contraindicated'; resultDigest: Uint8Array },
  ): void {
    const draw = this.#proofs.get(id);
    if (draw === undefined) return;
    const candidate = Uint8Array.from(Buffer.from(id, 'hex'));
    context.propose({
      kind: 'judge',
      candidate,
      epoch: draw.epoch,
      proof: draw.proof,
      verdict: judged.verdict,
      resultDigest: judged.resultDigest,
    });
    this.#closeLater(context, candidate, CLOSE_TRIES);
  }

  /** The machine refuses to decide while others may still judge: ask again, for a while. */
  #closeLater(context: NodeContext, candidate: Uint8Array, tries: number): void {
    if (tries === 0) return;
    this.#genesis.clock.after(CLOSE_AFTER_MS, () => {
      if (context.state().candidacies.get(toHex(candidate))?.outcome !== 'open') return;
      context.propose({ kind: 'close-candidacy', candidate });
      this.#closeLater(context, candidate, tries - 1);
    });
  }

  #mayJudge(id: string, pending: Pending): boolean {
    if (this.#context !== undefined) return this.#proofs.has(id);
    // A member that is just starting, long after genesis, judges nobody until it has caught up.
    const { ledger, accounts } = this.#genesis;
    return (
      !ledger.history.genesisComplete &&
      accounts.has(applicationCodec.parse(pending.application).record.account)
    );
  }

  #outcome(candidate: Uint8Array): 'unknown' | 'open' | 'admitted' | 'refused' {
    const state: MembershipState | undefined = this.#context?.state();
    return state?.candidacies.get(toHex(candidate))?.outcome ?? 'unknown';
  }

  #forgetOld(): void {
    for (const [id, pending] of this.#pending) {
      if (this.#genesis.clock.wallMs() - pending.startedMs > TRIAL_TIMEOUT_MS) {
        this.#pending.delete(id);
        this.#proofs.delete(id);
      }
    }
  }
}
