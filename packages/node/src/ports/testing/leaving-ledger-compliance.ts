import { assert } from '@nemea/core';
import type { ComplianceCase } from './journal-compliance.ts';
import { type LedgerGround, storyOf, syncAll } from './ledger-story.ts';

/** The end of the story of layer 1: the second of the four ledgers gives up membership. */
export function leavingLedgerCompliance(ground: () => LedgerGround): ComplianceCase[] {
  const { ledger, drive, recordOf, outcomeOf, verdictOn, expectOutcome } = storyOf(ground);
  return [
    {
      title: 'lets a member go at once, and its deposit only later',
      async run() {
        const call = (name: string) => outcomeOf(ledger(1).submit('nodeRegistry', name, []));
        expectOutcome(await call('withdraw'), 'DepositLocked');
        expectOutcome(await call('requestExit'), 'OK');
        expectOutcome(await call('requestExit'), 'NodeNotActive');
        expectOutcome(await call('withdraw'), 'DepositLocked');
        const admission = { type: 'Admission', record: recordOf(1), epoch: 9 } as const;
        expectOutcome(await verdictOn(admission), `AlreadyAdmitted(${ledger(1).account},3)`);
        await drive(syncAll(ledger(0)));
        const { history } = ledger(0);
        assert(!history.weights().has(ledger(1).account), 'it has no weight');
        assert(history.leavers(history.head).has(ledger(1).account), 'it is one of those that leave');
      },
    },
  ];
}
