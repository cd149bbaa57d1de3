import type { Address, TypedDataDomain } from 'viem';

/** The one EIP-712 domain of all votes: NodeRegistry judges every signature list, whichever contract asks. */
export function nemeaDomain(chainId: number, registry: Address) {
  return {
    name: 'Nemea',
    version: '1',
    chainId,
    verifyingContract: registry,
  } as const satisfies TypedDataDomain;
}

/**
 * What nodes sign for layer 1. Names, field order and types are part of each type hash; contracts/src/types/Votes.sol
 * holds the same structures.
 */
export const voteTypes = {
  Admission: [
    { name: 'account', type: 'address' },
    { name: 'owner', type: 'address' },
    { name: 'peerKey', type: 'bytes32' },
    { name: 'ekId', type: 'bytes32' },
    { name: 'akX', type: 'bytes32' },
    { name: 'akY', type: 'bytes32' },
    { name: 'vrfX', type: 'bytes32' },
    { name: 'vrfY', type: 'bytes32' },
    { name: 'level', type: 'uint8' },
    { name: 'epoch', type: 'uint64' },
    { name: 'endpoint', type: 'string' },
  ],
  Eviction: [
    { name: 'account', type: 'address' },
    { name: 'epoch', type: 'uint64' },
    { name: 'evidenceDigest', type: 'bytes32' },
    { name: 'reason', type: 'uint8' },
  ],
  PolicyChange: [
    { name: 'version', type: 'uint64' },
    { name: 'kind', type: 'uint8' },
    { name: 'digest', type: 'bytes32' },
    { name: 'approved', type: 'bool' },
  ],
  EpochRecord: [
    { name: 'epoch', type: 'uint64' },
    { name: 'seed', type: 'bytes32' },
    { name: 'rosterRoot', type: 'bytes32' },
    { name: 'attestationRoot', type: 'bytes32' },
    { name: 'creditRoot', type: 'bytes32' },
    { name: 'admissions', type: 'uint32' },
    { name: 'evictions', type: 'uint32' },
    { name: 'policyVersion', type: 'uint64' },
    { name: 'boundaryBlock', type: 'uint64' },
  ],
  Election: [
    { name: 'taskId', type: 'bytes32' },
    { name: 'attempt', type: 'uint32' },
    { name: 'commitment', type: 'bytes32' },
  ],
  Settlement: [
    { name: 'taskId', type: 'bytes32' },
    { name: 'attempt', type: 'uint32' },
    { name: 'executor', type: 'address' },
    { name: 'salt', type: 'bytes32' },
    { name: 'verifiers', type: 'address[]' },
    { name: 'certificateDigest', type: 'bytes32' },
  ],
  TaskFailure: [
    { name: 'taskId', type: 'bytes32' },
    { name: 'attempt', type: 'uint32' },
    { name: 'reason', type: 'uint8' },
  ],
  AttestationRequest: [
    { name: 'epoch', type: 'uint64' },
    { name: 'attestor', type: 'address' },
    { name: 'target', type: 'address' },
    { name: 'command', type: 'uint8' },
    { name: 'nonce', type: 'bytes32' },
    { name: 'proofHash', type: 'bytes32' },
  ],
  DisputeVerdict: [
    { name: 'disputeId', type: 'bytes32' },
    { name: 'guilty', type: 'bool' },
  ],
} as const;

export type VoteName = keyof typeof voteTypes;
