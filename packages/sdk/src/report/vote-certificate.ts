import {
  type Abi,
  type DecodeFunctionDataReturnType,
  decodeFunctionData,
  type Hex,
  hashTypedData,
  recoverAddress,
} from 'viem';
import type { Ledger, MinedTransaction } from '../client/ledger.ts';
import { nemeaDomain, type VoteName, voteTypes } from '../ledger/typed-data.ts';
import type { Lies } from './finding.ts';
import { nameOf } from './inquiry.ts';
import type { Report } from './report.ts';

/** Function and arguments of a call; undefined when the calldata fits no function of the interface. */
export function decodeCall<const A extends Abi>(
  abi: A,
  mined: MinedTransaction,
): DecodeFunctionDataReturnType<A> | undefined {
  try {
    return decodeFunctionData({ abi, data: mined.input as Hex });
  } catch {
    // viem throws for calldata of another interface, and that is the answer.
    return undefined;
  }
}

/**
 * Checks a quorum certificate as layer 1 did, without believing that it did: every signature recovers to another
 * voter, in rising order, and together they weigh more than two thirds. Returns how many signed, in words.
 */
export async function checkCertificate(
  {
    report,
    ledger,
  }: {
    readonly report: Pick<Report, 'nodes'>;
    readonly ledger: Pick<Ledger, 'network' | 'history'>;
  },
  lies: Lies,
  vote: { type: VoteName; message: object; signatures: readonly Hex[]; mined: MinedTransaction },
): Promise<string> {
  const voters = ledger.history.votersBefore(vote.mined.txHash);
  if (voters === undefined) {
    lies.add(`transaction ${vote.mined.txHash} left no event on layer 1`);
    return '';
  }
  const hash = hashTypedData({
    domain: nemeaDomain(ledger.network.chainId, ledger.network.contracts.nodeRegistry as Hex),
    types: voteTypes,
    primaryType: vote.type,
    message: vote.message,
  } as Parameters<typeof hashTypedData>[0]);
  let signed = 0;
  let previous = '';
  for (const signature of vote.signatures) {
    const signer = await signerOf(hash, signature);
    if (!lies.unless(signer !== undefined, 'certificate holds bytes that are no signature')) continue;
    const weight = voters.get(signer as string) ?? 0;
    lies.unless(weight > 0, `certificate is signed by ${nameOf(report, signer as string)}, who had no vote`);
    lies.unless((signer as string) > previous, 'certificate counts a signer twice');
    previous = signer as string;
    signed += weight;
  }
  const total = [...voters.values()].reduce((sum, weight) => sum + weight, 0);
  lies.unless(signed * 3 > total * 2, `certificate weighs ${signed} of ${total}, want more than two thirds`);
  return `${vote.signatures.length} of ${voters.size} voters signed, weight ${signed} of ${total}`;
}

async function signerOf(hash: Hex, signature: Hex): Promise<string | undefined> {
  try {
    return (await recoverAddress({ hash, signature })).toLowerCase();
  } catch {
    // recoverAddress throws for bytes that are no signature, and that is the answer.
    return undefined;
  }
}
