import type { Ledger } from '../client/ledger.ts';
import type { ContractName } from '../ledger/network.ts';
import { examine, type Finding, type Lies } from './finding.ts';
import { readKnown } from './inquiry.ts';
import type { Report } from './report.ts';

/** Which contract each contract says it works with: from the registry's address, all others follow. */
const WIRING: readonly (readonly [contract: ContractName, getter: string, refersTo: ContractName])[] = [
  ['nodeRegistry', 'token', 'feeToken'],
  ['nodeRegistry', 'epochLog', 'epochLog'],
  ['nodeRegistry', 'taskEscrow', 'taskEscrow'],
  ['nodeRegistry', 'disputes', 'disputes'],
  ['epochLog', 'registry', 'nodeRegistry'],
  ['policyRegistry', 'registry', 'nodeRegistry'],
  ['taskEscrow', 'registry', 'nodeRegistry'],
  ['taskEscrow', 'token', 'feeToken'],
  ['taskEscrow', 'capsules', 'capsuleRegistry'],
  ['releasePolicy', 'registry', 'nodeRegistry'],
  ['releasePolicy', 'capsules', 'capsuleRegistry'],
  ['releasePolicy', 'escrow', 'taskEscrow'],
  ['disputes', 'registry', 'nodeRegistry'],
];

/** The chain, the contracts and the length of an epoch are those that layer 1 itself names. */
export function verifyNetwork(report: Report, ledger: Ledger): Promise<Finding[]> {
  return examine('network', async (lies) => {
    lies.unlessEqual('chain id', report.network.chainId, await ledger.chainId());
    for (const [name, address] of Object.entries(ledger.network.contracts)) {
      lies.unlessEqual(`address of ${name}`, report.network.contracts[name] ?? 'none', address);
    }
    for (const wire of WIRING) await checkWire(ledger, lies, wire);
    const epochMs = await readKnown<bigint>(ledger, 'epochLog', 'epochMs');
    if (epochMs !== undefined)
      lies.unlessEqual('length of an epoch in ms', report.network.epochMs, Number(epochMs));
    const registry = ledger.network.contracts.nodeRegistry;
    return `chain ${report.network.chainId}; all contracts refer to registry ${registry}`;
  });
}

async function checkWire(
  ledger: Ledger,
  lies: Lies,
  [contract, getter, refersTo]: (typeof WIRING)[number],
): Promise<void> {
  const address = await readKnown<unknown>(ledger, contract, getter);
  const want = ledger.network.contracts[refersTo].toLowerCase();
  lies.unless(
    typeof address === 'string' && address.toLowerCase() === want,
    `${contract} at ${ledger.network.contracts[contract]} refers to ${refersTo} ${address ?? 'nowhere'}, want ${want}`,
  );
}
