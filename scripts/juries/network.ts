import { fromUtf8, hashDomain, sha256, toHex } from '@nemea/core';
import {
  attestOdds,
  CREDIT_GENESIS,
  type DrawContext,
  type EpochLeaf,
  genesisRoster,
  type Member,
  type NodeRecord,
  type ResultLeaf,
  type Roster,
  settleCredit,
  targetRing,
  targetsDrawn,
} from '@nemea/membership';

/**
 * A network of members without machines: rosters, juries and credit are those of the product, a seeded hash stands for
 * each VRF output, and what an attestor says about a target is up to the scenario.
 */

/** What an attestor reports about a target that it is drawn for; undefined is no result, for whatever reason. */
export type Say = (attestor: string, target: string) => ResultLeaf['verdict'] | undefined;

const NOTHING = {
  nonce: sha256(),
  evidenceDigest: sha256(),
  quoteDigest: sha256(),
  answerSignature: new Uint8Array(64),
};
const NO_PROOF = Uint8Array.of(1);

/** Members of one credit. */
export function rosterOf(size: number, credit = CREDIT_GENESIS): Roster {
  const key = new Uint8Array(32);
  const keys = {
    peerKey: key,
    ekId: key,
    akX: key,
    akY: key,
    vrfX: key,
    vrfY: key,
    level: 1,
    endpoint: 'none',
  };
  const records = Array.from(
    { length: size },
    (_, i): NodeRecord => ({ account: accountOf(i), owner: accountOf(i), ...keys }),
  );
  return new Map([...genesisRoster(records)].map(([account, member]) => [account, { ...member, credit }]));
}

export function accountOf(index: number): string {
  return `0x${toHex(sha256(fromUtf8(`account ${index}`)).subarray(0, 20))}`;
}

export interface Setting {
  readonly seed: string;
  readonly epoch: number;
  /** Expected jury size. */
  readonly expected: number;
}

/** Whom each attestor is drawn for. */
export function drawTargets(roster: Roster, setting: Setting): ReadonlyMap<string, readonly string[]> {
  const draw = drawOf(setting);
  const ring = targetRing(draw, roster, setting.epoch);
  return new Map(
    [...roster.values()].map((member) => {
      const seat = { account: member.account, beta: betaOf(draw, member) };
      return [member.account, targetsDrawn(ring, seat, attestOdds(roster, member, setting.expected))];
    }),
  );
}

/** One epoch: all members report what they say of those they are drawn for, and credit is settled. */
export function stepEpoch(roster: Roster, setting: Setting, say: Say): Roster {
  const { epoch } = setting;
  const draw = drawOf(setting);
  const leaves: EpochLeaf[] = [];
  for (const [attestor, targets] of drawTargets(roster, setting)) {
    const beta = betaOf(draw, roster.get(attestor) as Member);
    leaves.push({ attestor, epoch, proof: NO_PROOF, beta });
    for (const target of targets) {
      const verdict = say(attestor, target);
      if (verdict !== undefined) leaves.push({ ...NOTHING, attestor, target, epoch, verdict });
    }
  }
  return settleCredit(roster, leaves, draw, setting.expected);
}

function drawOf({ seed, epoch }: Setting): DrawContext {
  return { networkId: sha256(fromUtf8(seed)), epochSeed: sha256(fromUtf8(`${seed} ${epoch}`)) };
}

function betaOf({ epochSeed }: DrawContext, { account }: Member): Uint8Array {
  return hashDomain('simulation/beta', epochSeed, fromUtf8(account));
}
