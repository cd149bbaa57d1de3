/**
 * The rules of credit as the specification says them, written once more in the plainest way and sharing nothing with the
 * product: whatever it holds is held against this.
 */

const RING = 2n ** 256n;
const ATTESTORS = 3n;
const CREDIT_MAX = 10_000;

/** A member as far as its credit depends on it. */
export interface Account {
  credit: number;
  /** -1 for founders. */
  readonly admittedEpoch: number;
}

/** What an attestor reported of an epoch: its draw, and by target whether it affirms it. */
export interface Report {
  readonly beta: bigint;
  readonly results: ReadonlyMap<string, boolean>;
}

/** The reports of one epoch by attestor, and where its targets stand on the ring. */
export interface Epoch {
  readonly epoch: number;
  readonly reports: ReadonlyMap<string, Report>;
  place(account: string): bigint;
}

type Accounts = ReadonlyMap<string, Account>;

/** [MEMB-8] */
export function weightOf(credit: number): number {
  let root = 1;
  while ((root + 1) * (root + 1) <= credit) root++;
  return root;
}

/** [MEMB-10]: a target is drawn when it stands less than 3 w / W of the ring after the attestor's output. */
export function isDrawn(accounts: Accounts, attestor: string, steps: bigint): boolean {
  let total = 0n;
  for (const { credit } of accounts.values()) total += BigInt(weightOf(credit));
  const weight = BigInt(weightOf(accounts.get(attestor)?.credit ?? 0));
  return steps * total < ATTESTORS * weight * RING;
}

/** Steps up the ring from an attestor's output to a target. */
export function stepsTo(beta: bigint, place: bigint): bigint {
  return (place - beta + RING) % RING;
}

/** [MEMB-7] [MEMB-19] [MEMB-41]: everybody's credit after an epoch. */
export function creditsAfter(accounts: Accounts, epoch: Epoch): Map<string, number> {
  const credits = new Map<string, number>();
  for (const account of accounts.keys()) credits.set(account, creditOf(account, accounts, epoch));
  return credits;
}

function creditOf(account: string, accounts: Accounts, of: Epoch): number {
  const { credit, admittedEpoch } = accounts.get(account) as Account;
  if (of.reports.size === 0) return credit;
  const report = of.reports.get(account);
  const standing = standingOf(account, accounts, of);
  let [agreed, neglected] = [0, 0];
  for (const target of report === undefined ? [] : seatsOf(account, report, accounts, of)) {
    const hasPassed = standingOf(target, accounts, of) === 'passed';
    const result = report?.results.get(target);
    if (hasPassed && result !== true) neglected++;
    else if (result === hasPassed) agreed++;
  }
  const isDue = admittedEpoch < of.epoch && credit >= 1;
  const isAbsent = standing === 'absent' || (isDue && report === undefined) || neglected > agreed;
  const least = Math.min(credit, 1);
  if (isAbsent) {
    const left = Math.max(least, credit - Math.max(1, Math.floor(credit / 100)));
    if (neglected === 0) return Math.min(CREDIT_MAX, left + Math.min(5, agreed));
    return Math.max(Math.min(left, 1), left - Math.min(5, neglected));
  }
  if (neglected > 0) return Math.max(least, credit - Math.min(5, neglected));
  const growth = standing === 'passed' ? Math.max(1, Math.floor((CREDIT_MAX - credit) / 1_000)) : 0;
  return Math.min(CREDIT_MAX, credit + growth + Math.min(5, agreed));
}

/** [MEMB-19]: by the weight that is seated for it, heard or not. */
function standingOf(target: string, accounts: Accounts, of: Epoch): string {
  let [seated, affirming] = [0, 0];
  for (const [attestor, report] of of.reports) {
    if (!accounts.has(attestor) || !seatsOf(attestor, report, accounts, of).has(target)) continue;
    const weight = weightOf(accounts.get(attestor)?.credit ?? 0);
    seated += weight;
    if (report.results.get(target) === true) affirming += weight;
  }
  if (seated === 0) return 'unasked';
  if (affirming * 2 > seated) return 'passed';
  return affirming === 0 ? 'absent' : 'contested';
}

/** Whom an attestor was seated for: by its draw now, and by the results that it was drawn for when it reported. */
function seatsOf(attestor: string, { beta, results }: Report, accounts: Accounts, of: Epoch): Set<string> {
  const seats = new Set<string>();
  for (const [target, { admittedEpoch }] of accounts) {
    if (target === attestor || admittedEpoch >= of.epoch) continue;
    if (results.has(target) || isDrawn(accounts, attestor, stepsTo(beta, of.place(target))))
      seats.add(target);
  }
  return seats;
}
