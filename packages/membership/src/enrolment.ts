import { answeringAnew } from './equivocation.ts';
import type { LedgerView } from './ledger-view.ts';
import type { Context, Outcome } from './machine.ts';
import type { NodeRecord } from './operation.ts';
import { ROSTER_MAX, type Roster, withMember } from './roster.ts';
import type { Effect, MembershipState } from './state.ts';

/** For how many epochs layer 1 takes the certificate of an admission (NodeRegistry.ADMISSION_EPOCHS). */
export const ADMISSION_EPOCHS = 4;

/**
 * Whom layer 1 has registered is a member from here on: what consensus decided only made the certificate. So nobody gets
 * a say here without a deposit there [MEMB-15].
 */
export function enrol({ state, ledger, consensusEpoch }: Context): Outcome {
  const registered = registeredSince(state, ledger, state.ledgerBlock);
  if (registered.length === 0) return { rejected: 'ALREADY_DONE' };
  const effects: Effect[] = [];
  let next: MembershipState = {
    ...state,
    admissions: state.admissions + registered.length,
    enrolledThrough: state.ledgerBlock,
  };
  for (const { record, block } of registered) {
    const roster = enrolled(next.roster, record, ledger.epochOf(block));
    if (roster === next.roster) continue;
    next = { ...next, ...answeringAnew(next, record.account, consensusEpoch), roster };
    effects.push({ type: 'enrolled', record });
  }
  return { state: next, effects: [...effects, { type: 'roster', roster: next.roster }] };
}

/** The newcomers of layer 1, by a block, that are not enrolled yet; in its order. */
export function registeredSince(
  { enrolledThrough }: Pick<MembershipState, 'enrolledThrough'>,
  ledger: Pick<LedgerView, 'admissions'>,
  throughBlock: number,
): ReturnType<LedgerView['admissions']> {
  return ledger.admissions(enrolledThrough, throughBlock);
}

/**
 * A roster that is full stays as it is: no candidate is affirmed then, but certificates of before may still be used. Who
 * is registered by one is a member of layer 1 alone, and counts as an admission all the same, as it does there.
 */
export function enrolled(roster: Roster, record: NodeRecord, epoch: number): Roster {
  const isFull = roster.size >= ROSTER_MAX && !roster.has(record.account);
  return isFull ? roster : withMember(roster, record, epoch);
}
