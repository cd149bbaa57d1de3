import { bytesEqual, errorCode, fromHex, merkleRoot } from '@nemea/core';
import {
  CREDIT_TASK_EXECUTED,
  CREDIT_TASK_VERIFIED,
  creditAfter,
  creditRoot,
  type EpochLeaf,
  enrolled,
  genesisRoster,
  type Roster,
  rosterRoot,
  settleCredit,
  withCredit,
  withoutLeavers,
  withoutMember,
} from '@nemea/membership';
import { contractAbis, type Ledger } from '../client/ledger.ts';
import { parseEpochLeaf } from './epoch-leaf.ts';
import type { Report } from './report.ts';
import { decodeCall } from './vote-certificate.ts';

/** A roster that the members held, from the close of one epoch on. */
export interface RosterSpan {
  readonly closedEpoch: number;
  readonly roster: Roster;
}

/**
 * The members' rosters, redone by the rules from genesis, the attestations of every epoch and the events of layer 1.
 * The roots that the quorum signed for each epoch say whether the redoing came out as theirs did.
 */
export interface RosterReplay {
  readonly spans: readonly RosterSpan[];
  /** Last epoch whose roots came out right. */
  readonly exactEpoch: number;
  readonly epochsMatched: number;
  /** First epoch whose roots did not come out, and why not; undefined when all did. */
  readonly stopped?: string;
}

/** All that a replay reads. */
type ReadableLedger = Pick<Ledger, 'history' | 'mined' | 'networkId'>;

/** What layer 1 holds of one epoch. */
interface EpochOnLedger {
  readonly epoch: number;
  readonly networkId: Uint8Array;
  readonly seed: Uint8Array;
  readonly admissions: number;
  readonly evictions: number;
  readonly rosterRoot: Uint8Array;
  readonly creditRoot: Uint8Array;
  readonly attestationRoot: Uint8Array;
  readonly leavers: ReadonlySet<string>;
}

/** A change of credit that layer 1 shows, but not between which epochs the members counted it. */
type Move = (roster: Roster) => Roster;

/** Moves that may lie between two epochs before the replay gives up trying. */
const MOVES_MAX = 16;

export async function replayRosters(
  report: Pick<Report, 'epochs'>,
  ledger: ReadableLedger,
): Promise<RosterReplay> {
  const { admissions, evictions } = comingsAndGoings(ledger.history);
  const moves = await creditMoves(ledger);
  let roster = genesisRoster(ledger.history.genesisRecords());
  let exactEpoch = 0;
  let epochsMatched = 0;
  let stopped: string | undefined;
  const spans: RosterSpan[] = [{ closedEpoch: 0, roster }];
  const hold = (next: Roster) => {
    roster = next;
    spans.push({ closedEpoch: exactEpoch, roster });
  };

  const epochLast = Math.max(0, ...report.epochs.map(({ epoch }) => epoch));
  for (const onLedger of await epochsOnLedger(ledger)) {
    // The network went on after the report was made.
    if (onLedger.epoch > epochLast) break;
    const leaves = leavesOf(report, onLedger);
    if (leaves === undefined) {
      stopped = `the report does not hold the attestations of epoch ${onLedger.epoch}`;
      break;
    }
    const counted = [
      ...admissions.splice(0, onLedger.admissions),
      ...evictions.splice(0, onLedger.evictions),
    ];
    // Who was evicted may have been registered again in one epoch, and made room for another.
    for (const { change } of counted.sort((a, b) => a.place - b.place)) hold(change(roster));
    const moved = movesCounted(roster, moves, leaves, onLedger);
    if (moved === undefined) {
      stopped = `the roots of epoch ${onLedger.epoch} do not follow from the record`;
      break;
    }
    for (const move of moves.splice(0, moved)) hold(move(roster));
    exactEpoch = onLedger.epoch;
    epochsMatched += 1;
    hold(settleEpoch(roster, leaves, onLedger));
  }
  // What came after the last epoch that is known: the order of these is theirs to know, so each step is held.
  for (const { change } of admissions) hold(change(roster));
  for (const move of moves) hold(move(roster));
  for (const { change } of evictions) hold(change(roster));
  return { spans, exactEpoch, epochsMatched, ...(stopped === undefined ? {} : { stopped }) };
}

/** A change of who is a member, by its place in the order of layer 1. */
interface Change {
  readonly place: number;
  readonly change: (roster: Roster) => Roster;
}

function comingsAndGoings(history: ReadableLedger['history']): { admissions: Change[]; evictions: Change[] } {
  const genesis = new Set(history.genesisRecords());
  const admissions: Change[] = [];
  const evictions: Change[] = [];
  for (const [place, event] of history.events.entries()) {
    if (event.type === 'node-evicted')
      evictions.push({ place, change: (roster) => withoutMember(roster, event.account) });
    if (event.type !== 'node-admitted' || genesis.has(event.record)) continue;
    const epoch = history.epochOf(event.block);
    admissions.push({ place, change: (roster) => enrolled(roster, event.record, epoch) });
  }
  return { admissions, evictions };
}

/** What the close of an epoch does to the roster: credit moves, and whoever has left layer 1 is left out. */
function settleEpoch(roster: Roster, leaves: readonly EpochLeaf[], onLedger: EpochOnLedger): Roster {
  const draw = { networkId: onLedger.networkId, epochSeed: onLedger.seed };
  return withoutLeavers(settleCredit(roster, leaves, draw), onLedger.leavers, onLedger.epoch);
}

/** How many of the pending moves have to be counted before this epoch, so that its roots come out. */
function movesCounted(
  roster: Roster,
  moves: readonly Move[],
  leaves: readonly EpochLeaf[],
  onLedger: EpochOnLedger,
): number | undefined {
  let moved = roster;
  for (let count = 0; count <= Math.min(moves.length, MOVES_MAX); count++) {
    const settled = settleEpoch(moved, leaves, onLedger);
    if (
      bytesEqual(creditRoot(settled, onLedger.epoch), onLedger.creditRoot) &&
      bytesEqual(rosterRoot(settled), onLedger.rosterRoot)
    ) {
      return count;
    }
    moved = moves[count]?.(moved) ?? moved;
  }
  return undefined;
}

async function epochsOnLedger(ledger: ReadableLedger): Promise<EpochOnLedger[]> {
  const epochs: EpochOnLedger[] = [];
  for (const event of ledger.history.events) {
    if (event.type !== 'epoch') continue;
    const mined = await ledger.mined(event.txHash);
    const call = mined === undefined ? undefined : decodeCall(contractAbis.epochLog, mined);
    if (call?.functionName !== 'record') continue;
    const record = call.args[0];
    epochs.push({
      epoch: Number(record.epoch),
      networkId: ledger.networkId,
      seed: fromHex(record.seed),
      admissions: record.admissions,
      evictions: record.evictions,
      rosterRoot: fromHex(record.rosterRoot),
      creditRoot: fromHex(record.creditRoot),
      attestationRoot: fromHex(record.attestationRoot),
      leavers: ledger.history.leavers(Number(record.boundaryBlock)),
    });
  }
  return epochs;
}

/** The report's leaves of an epoch, if they are the ones that layer 1 commits to. */
function leavesOf(report: Pick<Report, 'epochs'>, onLedger: EpochOnLedger): EpochLeaf[] | undefined {
  const encoded = report.epochs
    .find(({ epoch }) => epoch === onLedger.epoch)
    ?.leaves.map((leaf) => fromHex(leaf));
  if (encoded === undefined || !bytesEqual(merkleRoot(encoded), onLedger.attestationRoot)) return undefined;
  try {
    return encoded.map(parseEpochLeaf);
  } catch (error) {
    // The quorum signed for bytes that are no attestations: the check of the leaves names them.
    if (errorCode(error) === 'LEAF_INVALID') return undefined;
    throw error;
  }
}

/** Settlements pay credit, verdicts of disputes take it, in the order of layer 1. */
async function creditMoves(ledger: ReadableLedger): Promise<Move[]> {
  const moves: Move[] = [];
  for (const event of ledger.history.events) {
    if (event.type === 'dispute-resolved' && event.guilty) {
      const dispute = ledger.history.dispute(fromHex(event.disputeId), event.block);
      if (dispute !== undefined) moves.push((roster) => withCredit(roster, dispute.accused, 0));
    }
    if (event.type !== 'task-settled') continue;
    const mined = await ledger.mined(event.txHash);
    const call = mined === undefined ? undefined : decodeCall(contractAbis.taskEscrow, mined);
    if (call?.functionName !== 'settle') continue;
    const verifiers = call.args[0].verifiers.map((account) => account.toLowerCase());
    moves.push((roster) =>
      verifiers.reduce(
        (paid, account) => earn(paid, account, CREDIT_TASK_VERIFIED),
        earn(roster, event.executor, CREDIT_TASK_EXECUTED),
      ),
    );
  }
  return moves;
}

function earn(roster: Roster, account: string, delta: number): Roster {
  const member = roster.get(account);
  return member === undefined ? roster : withCredit(roster, account, creditAfter(member.credit, delta));
}
