import { type Decision, parseDecision } from '@nemea/consensus';
import { createEd25519Verifier } from '@nemea/consensus/ed25519';
import { bytesEqual, fromHex, hashDomain, merkleRoot, toHex } from '@nemea/core';
import {
  applyOperation,
  authenticateOperation,
  type Effect,
  initialState,
  type MembershipState,
  type Operation,
  parseSignedOperation,
  type Vote,
} from '@nemea/membership';
import { LedgerHistory, networkIdOf } from '@nemea/sdk';
import type { HostChecks } from '../world/host.ts';
import type { Verdicts } from './checker.ts';
import { type Account, creditsAfter, isDrawn, type Report, stepsTo } from './credit-rules.ts';
import { epochProven } from './equivocation-rules.ts';
import { checkSettlement } from './settlement.ts';

const FOUNDER = { credit: 100, admittedEpoch: -1 };
const CREDIT_MAX = 10_000;
const SEQUENCES_KEPT = 64;

/**
 * Everybody's credit counted again from what was decided, by rules written apart from the product's [MEMB-7]. Who may do what is
 * the machine's word: it runs over the same decisions here; how much that is worth is not. Held against the machine after each
 * decision, against every honest node, and against the root that layer 1 has of each epoch [MEMB-20].
 */
export function checkCredit({
  world,
  honest,
  fail,
}: Verdicts): Pick<HostChecks, 'onAppend'> & { check(): void } {
  const { chain } = world;
  const { network } = chain.state;
  const networkId = networkIdOf(network.chainId, network.contracts.nodeRegistry);
  const { startBlock, epochMs } = network;
  const history = new LedgerHistory({ startBlock, epochMs, networkId, genesisAccounts: chain.state.genesis });
  const verify = createEd25519Verifier();
  const names = new Map(world.hosts.map(({ account, name }) => [account, name]));
  const keys = new Map(world.hosts.map(({ account, machine: { peerKey } }) => [account, peerKey]));
  const waiting = new Map<number, Decision>();
  const accounts = new Map<string, Account>(chain.state.genesis.map((account) => [account, { ...FOUNDER }]));
  const reports = new Map<number, Map<string, Report>>();
  const outdated = new Set<string>();
  /** Members that were proven to have contradicted themselves, and up to which epoch of consensus each has answered [MEMB-43]. */
  const equivocators = new Set<string>();
  const answered = new Map<string, number>();
  const roots = new Map<number, string>();
  const counted = new Map<number, string>();
  const settlements = checkSettlement({ fail });
  let machine: MembershipState | undefined;
  let sequence = 0;

  function follow(): void {
    for (const { header, events } of chain.blocks.slice(history.head + 1 - startBlock))
      history.append(header, events);
    if (!history.genesisComplete) return;
    machine ??= initialState(networkId, history);
    for (let next = waiting.get(sequence + 1); next !== undefined; next = waiting.get(sequence + 1)) {
      waiting.delete(++sequence);
      for (const bytes of next.batch) machine = apply(machine, bytes, next.certificate.epoch);
      const own = textOf(accounts);
      const ofMachine = textOf(machine.roster);
      if (own !== ofMachine) fail('credit', `after decision ${sequence} ${ofMachine}, by the rules ${own}`);
      counted.set(sequence, own);
      if (counted.size > SEQUENCES_KEPT) counted.delete(counted.keys().next().value as number);
    }
  }

  function apply(before: MembershipState, bytes: Uint8Array, consensusEpoch: number): MembershipState {
    const operation = authentic(before, bytes);
    if (operation === undefined) return before;
    const surroundings = { ledger: history, verifySignature: verify, consensusEpoch };
    const { state, effects } = applyOperation(before, operation, surroundings);
    const { author, body } = operation;
    const isRejected = effects.some(({ type }) => type === 'rejected');
    if (!isRejected) settlements.onOperation(operation);
    const beta = body.kind === 'attest' ? state.reports.get(body.epoch)?.get(author)?.beta : undefined;
    if (body.kind === 'attest' && beta !== undefined && !isRejected) {
      const ofEpoch = reports.get(body.epoch) ?? new Map<string, Report>();
      reports.set(body.epoch, ofEpoch.set(author, reportOf(author, body, toNumber(beta))));
    }
    if (body.kind === 'prove-equivocation') blame(body, consensusEpoch);
    const name = names.get(author) ?? '';
    if (honest.has(name) && effects.some(isUnproven))
      fail('justice', `what ${name} shows as equivocation proves nothing to the members`);
    for (const effect of effects) {
      count(effect, consensusEpoch);
      if (effect.type !== 'vote' || effect.vote.type !== 'Settlement') continue;
      const election = before.tasks.get(toHex(effect.vote.taskId))?.election;
      settlements.onSettlement(effect.vote, election?.verifiers ?? []);
    }
    return state;
  }

  function authentic(state: MembershipState, bytes: Uint8Array) {
    try {
      const signed = parseSignedOperation(bytes);
      const { author, anchor } = signed.operation;
      const key = state.roster.get(author)?.peerKey;
      const hash = history.blockHash(anchor.block);
      if (key === undefined || hash === undefined || !bytesEqual(hash, anchor.hash)) return undefined;
      return authenticateOperation(networkId, signed, key, verify);
    } catch {
      // A villain's: all pass over it alike.
      return undefined;
    }
  }

  /** The results that count: about members that may be asked, and that the attestor was drawn for. */
  function reportOf(
    author: string,
    body: Extract<Operation['body'], { kind: 'attest' }>,
    beta: bigint,
  ): Report {
    const results = new Map<string, boolean>();
    for (const { target, verdict } of body.attestations) {
      const account = accounts.get(target);
      if (account === undefined || account.admittedEpoch >= body.epoch) continue;
      if (isDrawn(accounts, author, stepsTo(beta, placeOf(body.epoch, target))))
        results.set(target, verdict !== 'contraindicated');
    }
    return { beta, results };
  }

  function placeOf(epoch: number, account: string): bigint {
    const seed = history.epochSeed(epoch) ?? new Uint8Array(32);
    return toNumber(hashDomain('nemea/ring/1', networkId, seed, fromHex(account)));
  }

  /** Whatever the machine says of a proof: it is looked at here once more. */
  function blame(body: Extract<Operation['body'], { kind: 'prove-equivocation' }>, epochNow: number): void {
    const { culprit } = body;
    const key = keys.get(culprit);
    if (!accounts.has(culprit) || key === undefined) return;
    const isSigned = [body.first, body.second].every(({ payload, signature }) =>
      verify(key, hashDomain('nemea/consensus/message/2', networkId, payload), signature),
    );
    const epoch = isSigned ? epochProven(toHex(body.first.payload), toHex(body.second.payload)) : undefined;
    if (epoch === undefined || epoch > epochNow || epoch <= (answered.get(culprit) ?? 0)) return;
    answered.set(culprit, epoch);
    equivocators.add(culprit);
  }

  function count(effect: Effect, consensusEpoch: number): void {
    if (effect.type === 'enrolled') join(effect.record.account, consensusEpoch);
    if (effect.type === 'evicted') accounts.delete(effect.account);
    if (effect.type === 'update-missed') outdated.add(effect.account);
    if (effect.type === 'epoch-closed') close(effect.epoch);
    if (effect.type === 'vote') countVote(effect.vote);
  }

  /** [MEMB-15] By the newest registration on layer 1. */
  function join(account: string, consensusEpoch: number): void {
    const registered = history.events.findLast(
      (event) => event.type === 'node-admitted' && event.record.account === account,
    );
    accounts.set(account, { credit: 1, admittedEpoch: history.epochOf(registered?.block ?? 0) });
    answered.set(account, consensusEpoch);
    equivocators.delete(account);
  }

  function countVote(vote: Vote): void {
    if (vote.type === 'DisputeVerdict' && vote.guilty)
      set(chain.state.disputes.get(toHex(vote.disputeId))?.accused ?? '', () => 0);
    if (vote.type === 'Settlement') {
      set(vote.executor, (credit) => credit + 20);
      for (const verifier of vote.verifiers) set(verifier, (credit) => credit + 5);
    }
    if (vote.type === 'EpochRecord' && toHex(vote.creditRoot) !== roots.get(vote.epoch))
      fail('credit', `the record of epoch ${vote.epoch} has another root than the rules give`);
  }

  function set(account: string, change: (credit: number) => number): void {
    const known = accounts.get(account);
    if (known !== undefined) known.credit = Math.min(CREDIT_MAX, change(known.credit));
  }

  function close(epoch: number): void {
    const ofEpoch = reports.get(epoch) ?? new Map<string, Report>();
    const place = (account: string): bigint => placeOf(epoch, account);
    for (const [account, credit] of creditsAfter(accounts, { epoch, reports: ofEpoch, place }))
      set(account, () => (outdated.has(account) || equivocators.has(account) ? 0 : credit));
    outdated.clear();
    equivocators.clear();
    for (const known of reports.keys()) if (known <= epoch) reports.delete(known);
    // [MEMB-21]
    for (const account of history.leavers(history.epochBoundary(epoch) ?? 0))
      if ((accounts.get(account)?.admittedEpoch ?? 0) < epoch) accounts.delete(account);
    roots.set(epoch, rootOf(accounts, epoch));
  }

  return {
    onAppend(host, kind, records) {
      if (kind !== 'decision' || !honest.has(host.name)) return;
      for (const record of records) {
        const decision = parseDecision(record);
        if (decision.sequence > sequence) waiting.set(decision.sequence, decision);
      }
    },
    check() {
      follow();
      for (const { name, node } of world.hosts) {
        const status = honest.has(name) ? node?.status() : undefined;
        if (status === undefined) continue;
        const own = counted.get(status.sequence);
        const held = textOf(new Map(status.members.map((member) => [member.account, member])));
        if (own !== undefined && own !== held)
          fail('credit', `at ${status.sequence} ${name} has ${held}, by the rules ${own}`);
      }
      const { epochLatest, creditRoot } = chain.state;
      const root = roots.get(epochLatest);
      if (root !== undefined && root !== creditRoot)
        fail('credit', `layer 1 has another root of epoch ${epochLatest} than the rules give`);
    },
  };
}

function isUnproven(effect: Effect): boolean {
  return effect.type === 'rejected' && effect.code === 'EQUIVOCATION_UNPROVEN';
}

function textOf(accounts: ReadonlyMap<string, { readonly credit: number }>): string {
  return [...accounts]
    .map(([account, { credit }]) => `${account.slice(2, 8)} ${credit}`)
    .sort()
    .join(', ');
}

/** The credit tree as NodeRegistry.syncCredit reads it: account (20 bytes), epoch (8), credit (4), by rising account. */
function rootOf(accounts: ReadonlyMap<string, Account>, epoch: number): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
  const leaves = [...accounts]
    .map(([account, { credit }]) => `${account.slice(2)}${hex(epoch, 16)}${hex(credit, 8)}`)
    .sort()
    .map(fromHex);
  return toHex(merkleRoot(leaves));
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes)}`);
}
