import { toHex } from '@nemea/core';
import type { Vote } from '@nemea/membership';
import { encodeAbiParameters, type Hex, hashTypedData, keccak256 } from 'viem';
import type { ContractName, Network } from './network.ts';
import { nemeaDomain, voteTypes } from './typed-data.ts';

const hex = (bytes: Uint8Array): Hex => `0x${toHex(bytes)}`;

/** How a vote reaches layer 1: the contract function that takes the message and its certificate. */
const TARGETS = {
  Admission: { contract: 'nodeRegistry', functionName: 'admit' },
  Eviction: { contract: 'nodeRegistry', functionName: 'evict' },
  EpochRecord: { contract: 'epochLog', functionName: 'record' },
  Election: { contract: 'taskEscrow', functionName: 'commitExecutor' },
  Settlement: { contract: 'taskEscrow', functionName: 'settle' },
  TaskFailure: { contract: 'taskEscrow', functionName: 'fail' },
  DisputeVerdict: { contract: 'disputes', functionName: 'resolve' },
} as const satisfies Record<Vote['type'], { contract: ContractName; functionName: string }>;

export function voteTarget(vote: Vote): { contract: ContractName; functionName: string } {
  return TARGETS[vote.type];
}

/** keccak256(abi.encode(taskId, executor, salt)): what layer 1 holds of an executor until settlement. */
export function executorCommitment(taskId: Uint8Array, executor: string, salt: Uint8Array): Hex {
  return keccak256(
    encodeAbiParameters(
      [{ type: 'bytes32' }, { type: 'address' }, { type: 'bytes32' }],
      [hex(taskId), executor as Hex, hex(salt)],
    ),
  );
}

/** The EIP-712 message of a vote, field for field as the contract hashes it. */
export function voteMessage(vote: Vote): Record<string, unknown> {
  switch (vote.type) {
    case 'Admission': {
      const { record, epoch } = vote;
      return {
        account: record.account,
        owner: record.owner,
        peerKey: hex(record.peerKey),
        ekId: hex(record.ekId),
        akX: hex(record.akX),
        akY: hex(record.akY),
        vrfX: hex(record.vrfX),
        vrfY: hex(record.vrfY),
        level: record.level,
        epoch: BigInt(epoch),
        endpoint: record.endpoint,
      };
    }
    case 'Eviction':
      return {
        account: vote.account,
        epoch: BigInt(vote.epoch),
        evidenceDigest: hex(vote.evidenceDigest),
        reason: vote.reason,
      };
    case 'EpochRecord':
      return {
        epoch: BigInt(vote.epoch),
        seed: hex(vote.seed),
        rosterRoot: hex(vote.rosterRoot),
        attestationRoot: hex(vote.attestationRoot),
        creditRoot: hex(vote.creditRoot),
        admissions: vote.admissions,
        evictions: vote.evictions,
        policyVersion: BigInt(vote.policyVersion),
        boundaryBlock: BigInt(vote.boundaryBlock),
      };
    case 'Election':
      return {
        taskId: hex(vote.taskId),
        attempt: vote.attempt,
        commitment: executorCommitment(vote.taskId, vote.executor, vote.salt),
      };
    case 'Settlement':
      return {
        taskId: hex(vote.taskId),
        attempt: vote.attempt,
        executor: vote.executor,
        salt: hex(vote.salt),
        verifiers: vote.verifiers,
        certificateDigest: hex(vote.certificateDigest),
      };
    case 'TaskFailure':
      return { taskId: hex(vote.taskId), attempt: vote.attempt, reason: vote.reason };
    case 'DisputeVerdict':
      return { disputeId: hex(vote.disputeId), guilty: vote.guilty };
  }
}

/** Everything that viem needs to sign, hash or recover a vote. */
export function voteTypedData(network: Network, vote: Vote) {
  return {
    domain: nemeaDomain(network.chainId, network.contracts.nodeRegistry as Hex),
    types: voteTypes,
    primaryType: vote.type,
    message: voteMessage(vote),
  } as Parameters<typeof hashTypedData>[0];
}

/** EIP-712 digest: the identity of a vote among the members. */
export function voteDigest(network: Network, vote: Vote): Hex {
  return hashTypedData(voteTypedData(network, vote));
}

/** Fields of a signed attestation request (EIP-712, contract Disputes). */
export interface AttestationRequest {
  readonly epoch: number;
  readonly attestor: string;
  readonly target: string;
  readonly command: number;
  readonly nonce: Uint8Array;
  readonly proofHash: Uint8Array;
}

export function requestTypedData(network: Network, request: AttestationRequest) {
  return {
    domain: nemeaDomain(network.chainId, network.contracts.nodeRegistry as Hex),
    types: voteTypes,
    primaryType: 'AttestationRequest',
    message: requestMessage(request),
  } as Parameters<typeof hashTypedData>[0];
}

export function requestMessage(request: AttestationRequest) {
  return {
    epoch: BigInt(request.epoch),
    attestor: request.attestor as Hex,
    target: request.target as Hex,
    command: request.command,
    nonce: hex(request.nonce),
    proofHash: hex(request.proofHash),
  };
}
