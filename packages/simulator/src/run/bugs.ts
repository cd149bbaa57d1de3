import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A mistake that somebody could make: one place in production code, written differently. */
export interface Bug {
  readonly name: string;
  /** What it breaks, in a few words. */
  readonly breaks: string;
  /** Below `packages/`. */
  readonly file: string;
  readonly before: string;
  readonly after: string;
}

const bug = (name: string, breaks: string, file: string, before: string, after: string): Bug => ({
  name,
  breaks,
  file,
  before,
  after,
});

/** The mutation check: what the swarm must find. None of it is in production code; each is put in while it is loaded. */
export const BUGS: readonly Bug[] = [
  bug(
    'quorum-of-a-half',
    'two quorums without an honest member in common [CONS-2]',
    'consensus/src/quorum.ts',
    'return 3 * weight > 2 * weightTotal;',
    'return 2 * weight >= weightTotal;',
  ),
  bug(
    'missing-journal-write',
    'a restarted replica does not know what it said [CONS-6]',
    'consensus/src/speech.ts',
    "turn.effects.push({ type: 'persist', record: { type: 'sent', ...statement } });",
    '',
  ),
  bug(
    'speak-before-writing',
    'what was said is lost with the power [CONS-6]',
    'node/src/replica-rim.ts',
    'else journal.append(',
    'else journal.appendLater(',
  ),
  bug(
    'skipped-view-change-proof',
    'a new view forgets what was decided in the one before [CONS-16]',
    'consensus/src/view-change.ts',
    'return certificateHolds(state, tip, signatures) ? { anchor: tip } : null;',
    'return certificateHolds(state, tip, signatures) ? { anchor: null } : null;',
  ),
  bug(
    'view-change-without-tip',
    'what was prepared is not carried to the next view [CONS-14]',
    'consensus/src/view-change.ts',
    'tip: tip === null ? null : tipOf(tip),',
    'tip: null,',
  ),
  bug(
    'prepared-forgotten-at-restart',
    'a restarted replica does not carry what it had prepared [CONS-14]',
    'consensus/src/restore.ts',
    'state.tip = record.certificate;',
    '',
  ),
  bug(
    'forgotten-replay-check',
    'an operation is executed twice [CONS-12]',
    'consensus/src/limits.ts',
    'export const OPERATION_WINDOW = 8192;',
    'export const OPERATION_WINDOW = 2;',
  ),
  bug(
    'unsorted-certificate',
    'layer 1 refuses every certificate [MEMB-34]',
    'node/src/votes.ts',
    '.sort(([a], [b]) => (a < b ? -1 : 1))',
    '.sort(([a], [b]) => (a < b ? 1 : -1))',
  ),
  bug(
    'facts-of-the-own-head',
    'replicas execute against different blocks [MEMB-2]',
    'membership/src/attestation.ts',
    "if (epoch >= ledger.epochOf(state.ledgerBlock)) return { rejected: 'TOO_EARLY' };",
    "if (epoch >= ledger.epochOf(ledger.head) || ledger.head % 3 === 0) return { rejected: 'TOO_EARLY' };",
  ),
  bug(
    'evidence-to-everybody',
    'evidence is read by more than its attestor (A5)',
    'node/src/attestation/attestor.ts',
    'const answer = answerCodec.parse(received);',
    'const answer = answerCodec.parse(received);\n  for (const peer of context.overlay().peers()) context.overlay().send(peer, PROTOCOLS.vote, received);',
  ),
  bug(
    'accusation-believed',
    'an honest member is evicted on the word of one [MEMB-23]',
    'membership/src/attestation.ts',
    "if (offence === 'none') return { rejected: 'EVIDENCE_NOT_CONTRADICTING' };",
    '',
  ),
  bug(
    'catch-up-skips-one',
    'a replica that lags behind never catches up [CONS-19]',
    'node/src/order-log.ts',
    'const at = Math.max(0, from - this.#first);',
    'const at = Math.max(0, from - this.#first) + 1;',
  ),
  bug(
    'stopped-and-silent',
    'a node whose disk was full stays up and takes no part',
    'node/src/replica-rim.ts',
    '    this.close();\n    this.#options.onStopped(',
    "    this.close();\n    if (code === '') this.#options.onStopped(",
  ),
  bug(
    'dead-primary-kept',
    'nobody leaves the view of a dead primary [CONS-13]',
    'consensus/src/timers.ts',
    'if (!state.active) return isViewAwaited(state)',
    'if (state.active) return null;\n  if (!state.active) return isViewAwaited(state)',
  ),
  bug(
    'false-vrf-acquitted',
    'a member that draws itself by false proofs is not punished [MEMB-26]',
    'membership/src/attestation.ts',
    'dispute.command === CHALLENGE_COMMANDS.epoch && provenBeta(accused, alpha, dispute.proof) === undefined;',
    'dispute.command === CHALLENGE_COMMANDS.epoch && provenBeta(accused, alpha, dispute.proof) !== undefined;',
  ),
  bug(
    'equivocation-believed-unverified',
    'a member loses its credit by what it never said [MEMB-43]',
    'consensus/src/equivocation.ts',
    'if (!input.verify(publicKey, signingBytes(input.networkId, payload), signature)) {',
    'if (signature.length === 0) {',
  ),
  bug(
    'equivocation-for-nothing',
    'who is proven to have contradicted itself keeps its credit [MEMB-43]',
    'membership/src/settlement.ts',
    'return isEquivocation(leaf) ? withChange(roster, leaf.equivocator, creditAfterFault) : roster;',
    'return roster;',
  ),
  bug(
    'failure-not-submitted',
    'the fee of a task that nobody can run stays in escrow [MEMB-34]',
    'node/src/votes.ts',
    "      case 'TaskFailure': {\n        const id",
    "      case 'TaskFailure': {\n        if (vote.type === 'TaskFailure') return true;\n        const id",
  ),
  bug(
    'epochs-left-open',
    'an epoch that few reported on is never closed [MEMB-17]',
    'membership/src/attestation.ts',
    'if (ledger.epochOf(state.ledgerBlock) >= epoch + 2) return true;',
    '',
  ),
  bug(
    'redial-given-up',
    'who cannot be reached at once is never reached again',
    'node/src/peers/members.ts',
    'return this.all().filter((member) => member.account !== this.#ledger.account);',
    'return this.all().filter((member) => member.account > this.#ledger.account);',
  ),
  bug(
    'heads-counted-for-layer-1',
    'a crowd of newcomers that weigh next to nothing keeps certificates from layer 1 [MEMB-34]',
    'node/src/votes.ts',
    '      total += weight;\n      if (ballot.signatures.has(account)) signed += weight;',
    '      total += 1;\n      if (ballot.signatures.has(account)) signed += 1;',
  ),
  bug(
    'heads-counted-by-consensus',
    'a crowd of newcomers that weigh next to nothing stops the network [CONS-2]',
    'consensus/src/configuration.ts',
    'publicKey: publicKey.slice(), weight, place',
    'publicKey: publicKey.slice(), weight: 1, place',
  ),
  bug(
    'activation-not-checked',
    'who shows the papers of another TPM becomes a member [ATT-17]',
    'node/src/admission/judge.ts',
    'if (!checkActivation(trial.enrolment, answer.secret)) {',
    'if (trial.nonce.length === 0) {',
  ),
  bug(
    'any-root-trusted',
    'who writes its own endorsement certificate becomes a member [ATT-16]',
    'node/src/admission/judge.ts',
    '.filter((certificate) => approved.has(toHex(sha256(certificate))))',
    '.filter((_, index) => index > 0)',
  ),
  bug(
    'absence-for-nothing',
    'who is not there keeps its credit [MEMB-7]',
    'membership/src/standing.ts',
    '    ? creditAfterAbsence(credit)\n    : standing',
    '    ? credit\n    : standing',
  ),
  bug(
    'newcomer-with-the-credit-of-a-founder',
    'a stranger weighs as much as a founder from its first day [MEMB-6]',
    'membership/src/roster.ts',
    'credit: CREDIT_NEWCOMER,',
    'credit: CREDIT_GENESIS,',
  ),
  bug(
    'member-before-layer-1',
    'who is affirmed has a say, whether or not layer 1 takes it with its deposit [MEMB-15]',
    'membership/src/admission.ts',
    "return { state: { ...state, candidacies }, effects: [closed, { type: 'vote', vote }] };",
    "const roster = new Map(state.roster).set(vote.record.account, { ...vote.record, credit: 1, admittedEpoch: vote.epoch, confidence: 0 });\n  return { state: { ...state, candidacies, roster }, effects: [closed, { type: 'roster', roster }, { type: 'vote', vote }] };",
  ),
  bug(
    'leavers-kept',
    'who gave up membership keeps its say [MEMB-21]',
    'membership/src/attestation.ts',
    'const roster = withoutLeavers(settled, ledger.leavers(boundaryBlock), epoch);',
    'const roster = withoutLeavers(settled, new Set(), epoch);',
  ),
  bug(
    'settled-unverified',
    'a task is settled before its verifiers have said a word [MEMB-31]',
    'membership/src/task.ts',
    'if (affirming * 3 < election.verifiers.length * 2) return waiting;',
    '',
  ),
  bug(
    'result-in-the-clear',
    'whoever stands between executor and receiver reads the result',
    'node/src/tasks/owners.ts',
    'capsule: this.#seal(receiver, index, outputs[outputs.length === 1 ? 0 : index] as Uint8Array),',
    'capsule: (outputs[outputs.length === 1 ? 0 : index] as Uint8Array).slice(),',
  ),
  bug(
    'key-in-the-log',
    'the key of a capsule is in the log of its key agent',
    'node/src/owner/key-agent.ts',
    'const fileKey = await capsule.unwrapKey();',
    "const fileKey = await capsule.unwrapKey();\n    logger.warn({ key: toHex(fileKey) }, 'unwrapped');",
  ),
  bug(
    'first-result-believed',
    'an owner opens what it was brought first, and not what layer 1 settled',
    'node/src/owner/result-box.ts',
    'const digest = named.find((candidate) => arrived.includes(candidate));',
    'const digest = named.length > 0 ? arrived[0] : undefined;',
  ),
  bug(
    'container-left-behind',
    'a machine is not wiped after a run, and never clean again',
    'node/src/tasks/executor.ts',
    'await session?.wipe();',
    '',
  ),
];

const PACKAGES = join(import.meta.dirname, '..', '..', '..');

/** The source of a file with the bug in it. Throws when the place is not there exactly once: the bug went out of date. */
export function mutate({ name, before, after }: Bug, source: string): string {
  const parts = source.split(before);
  if (parts.length !== 2)
    throw new Error(`bug ${name}: its place occurs ${parts.length - 1} times, want once`);
  return parts.join(after);
}

export function pathOf({ file }: Bug): string {
  return join(PACKAGES, file);
}

export function readSource(bugToRead: Bug): string {
  return readFileSync(pathOf(bugToRead), 'utf8');
}
