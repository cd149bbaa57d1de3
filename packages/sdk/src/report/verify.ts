import type { Ledger } from '../client/ledger.ts';
import type { Finding } from './finding.ts';
import type { Inquiry } from './inquiry.ts';
import type { Report } from './report.ts';
import { replayRosters } from './roster-replay.ts';
import { verifyAdmissions } from './verify-admissions.ts';
import { verifyCapsules } from './verify-capsules.ts';
import { verifyCertificate } from './verify-certificate.ts';
import { verifyElection } from './verify-election.ts';
import { verifyEpochs } from './verify-epochs.ts';
import { verifyEvictions } from './verify-evictions.ts';
import { verifyJuries } from './verify-juries.ts';
import { verifyNetwork } from './verify-network.ts';
import { verifySummary } from './verify-summary.ts';
import { verifySettlement, verifyTaskCreation } from './verify-task.ts';

/**
 * Holds a report against layer 1: every signature, draw, quote and certificate in it is checked again, and nothing is
 * believed because a node says it. Throws `LEDGER_UNREACHABLE` when layer 1 cannot be read; a lie is a finding.
 */
export async function verifyReport(report: Report, ledger: Ledger): Promise<Finding[]> {
  const network = await verifyNetwork(report, ledger);
  // Everything else is read from these contracts: with others, nothing more can be judged.
  if (network.some(({ ok }) => !ok)) return network;
  await syncToTip(ledger);
  const inquiry: Inquiry = { report, ledger, rosters: await replayRosters(report, ledger) };
  return [
    ...network,
    ...(await verifyAdmissions(inquiry)),
    ...(await verifyJuries(inquiry)),
    ...(await verifyEpochs(inquiry)),
    ...(await verifyCapsules(inquiry)),
    ...(await verifyTaskCreation(inquiry)),
    ...(await verifyElection(inquiry)),
    ...(await verifyCertificate(inquiry)),
    ...(await verifySettlement(inquiry)),
    ...(await verifyEvictions(inquiry)),
    ...(await verifySummary(inquiry)),
  ];
}

async function syncToTip(ledger: Ledger): Promise<void> {
  while ((await ledger.sync()) > 0);
}
