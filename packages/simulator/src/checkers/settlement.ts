import { toHex } from '@nemea/core';
import type { Operation, Vote } from '@nemea/membership';
import type { Verdicts } from './checker.ts';

type Settlement = Extract<Vote, { type: 'Settlement' }>;
type Verify = Extract<Operation['body'], { kind: 'verify' }>;

const PHASES = 3;

export interface SettlementChecks {
  /** An operation that counts. */
  onOperation(operation: Operation): void;
  /** What is decided of a task, and whose word it takes. */
  onSettlement(vote: Settlement, verifiers: readonly string[]): void;
}

/** A task is settled by the word of two thirds of its verifiers, each of whom has affirmed every phase of the run [MEMB-31]. */
export function checkSettlement({ fail }: Pick<Verdicts, 'fail'>): SettlementChecks {
  /** By run and certificate. */
  const affirming = new Map<string, Set<string>>();
  const keyOf = ({ taskId, attempt, certificateDigest }: Settlement | Verify): string =>
    `${toHex(taskId)} ${attempt} ${toHex(certificateDigest)}`;
  return {
    onOperation({ author, body }) {
      if (body.kind !== 'verify' || body.phases.length !== PHASES) return;
      if (body.phases.some(({ verdict }) => verdict === 'contraindicated')) return;
      const known = affirming.get(keyOf(body)) ?? new Set();
      affirming.set(keyOf(body), known.add(author));
    },
    onSettlement(vote, verifiers) {
      const known = affirming.get(keyOf(vote)) ?? new Set();
      const count = verifiers.filter((account) => known.has(account)).length;
      if (count * 3 < verifiers.length * 2 || count === 0)
        fail('task', `a task is settled by the word of ${count} of ${verifiers.length} verifiers`);
    },
  };
}
