import type { Ledger } from '@nemea/sdk';
import type { Logger } from 'pino';
import { NodeError } from '../errors.ts';
import type { Members } from '../peers/members.ts';
import type { Device } from '../ports/device.ts';
import type { NodePorts } from '../ports/node-ports.ts';
import { type Candidate, type Door, joinNetwork, recordOf, registerAtGenesis } from './candidate.ts';

const ADMISSION_TIMEOUT_MS = 120_000;
/** A device says of itself what its certificate can prove at most; judges hold it against that. */
const LEVEL_CLAIMED = 1;

export interface Newcomer {
  readonly device: Device;
  /** Who the deposit goes back to; the device's own account unless it says so. */
  readonly owner: string | undefined;
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly members: Members;
  readonly genesisAccounts: readonly string[];
  /** The doors of all the other genesis members; only a genesis member needs them. */
  readonly genesisDoors: readonly Door[] | undefined;
}

/** Registered already, founding, or a stranger: the three ways to be a member. Resolves when genesis is complete, too. */
export async function becomeMember(
  newcomer: Newcomer,
  ports: Pick<NodePorts, 'clock' | 'openOutward'>,
): Promise<void> {
  const { ledger } = newcomer;
  if (!ledger.history.weights().has(newcomer.device.account)) await apply(newcomer, ports);
  await ledger.waitFor(() => (ledger.history.genesisComplete ? true : undefined), ADMISSION_TIMEOUT_MS);
}

async function apply(
  { device, owner, ledger, logger, members, genesisAccounts, genesisDoors }: Newcomer,
  { clock, openOutward }: Pick<NodePorts, 'clock' | 'openOutward'>,
): Promise<void> {
  const { tpm, identity, measured, eventLog, ekChain } = device;
  const record = recordOf(device, { level: LEVEL_CLAIMED, owner });
  const candidate: Candidate = { clock, ledger, logger, tpm, identity, measured, eventLog, ekChain, record };
  const outward = await openOutward({ privateKey: device.keys.peerSeed, networkId: ledger.networkId });
  try {
    const isFounding = genesisAccounts.includes(device.account) && !ledger.history.genesisComplete;
    if (!isFounding) {
      await joinNetwork(candidate, outward, members.doors(), ADMISSION_TIMEOUT_MS);
      return;
    }
    if (genesisDoors === undefined)
      throw new NodeError('NODE_GENESIS_UNKNOWN', 'a genesis member needs the doors of the others');
    await registerAtGenesis(candidate, outward, genesisDoors, genesisAccounts.length, ADMISSION_TIMEOUT_MS);
  } finally {
    await outward.close();
  }
}
