import { fromHex, toHex } from '@nemea/core';
import type { NodeRecord, Vote } from '@nemea/membership';
import { type AttestationRequest, LedgerError } from '@nemea/sdk';
import { capsuleOf, checkRelease, type ReleaseRuleOnContract } from './layer-one/capsules.ts';
import type { Call, Chain } from './layer-one/chain.ts';
import type { TaskTerms } from './layer-one/escrow.ts';
import { requireAdmissible } from './layer-one/registry.ts';
import { allowanceOf, nodeOf } from './layer-one/state.ts';

/** What a contract's function is called with, as viem takes it: bytes in hexadecimal, large numbers as bigints. */
type Arguments = readonly unknown[];

/** A call of a contract by its names, as the twin's chain takes it. Throws `LEDGER_CONTRACT_MISSING`. */
export function callOf(contract: string, functionName: string, args: Arguments): Call {
  switch (`${contract}.${functionName}`) {
    case 'disputes.report':
      return toReport(args);
    case 'nodeRegistry.requestExit':
      return { kind: 'exit' };
    case 'nodeRegistry.withdraw':
      return { kind: 'withdraw' };
    case 'feeToken.approve':
      return { kind: 'approve', spender: addressOf(args[0]), amount: args[1] as bigint };
    case 'capsuleRegistry.register':
      return toRegistration(args);
    case 'releasePolicy.setRule':
      return { kind: 'rule', capsuleId: bytesOf(args[0]), rule: toRule(args[1]) };
    case 'taskEscrow.create':
      return { kind: 'task', terms: toTerms(args) };
    case 'taskEscrow.refund':
      return { kind: 'refund', taskId: bytesOf(args[0]) };
    default:
      throw missing(contract, functionName);
  }
}

/** What a contract answers now. Throws `Revert`, and `LEDGER_CONTRACT_MISSING`. */
export function readContract(chain: Chain, contract: string, functionName: string, args: Arguments): unknown {
  const { state } = chain;
  switch (`${contract}.${functionName}`) {
    case 'nodeRegistry.genesisAccounts':
      return [...state.genesis];
    case 'nodeRegistry.depositMin':
      return state.depositMin;
    case 'nodeRegistry.node':
      return { deposit: nodeOf(state, addressOf(args[0])).deposit };
    case 'nodeRegistry.requireAdmissible':
      return requireAdmissible(state, toAdmission(args));
    case 'nodeRegistry.isBacking':
      return nodeOf(state, addressOf(args[1])).backers.has(addressOf(args[0]));
    case 'feeToken.allowance':
      return allowanceOf(state, addressOf(args[0]), addressOf(args[1]));
    case 'feeToken.balanceOf':
      return state.balances.get(addressOf(args[0])) ?? 0n;
    case 'capsuleRegistry.capsule':
      return fromCapsule(capsuleOf(state, digitsOf(args[0])));
    case 'releasePolicy.check': {
      const [capsuleId, taskId, codeDigest, imageDigest] = args.slice(0, 4).map(digitsOf) as Digits;
      const question = { capsuleId, taskId, codeDigest, imageDigest, executor: addressOf(args[4]) };
      return checkRelease(state, question, chain.nowS);
    }
    default:
      throw missing(contract, functionName);
  }
}

type Digits = [string, string, string, string];

export function missing(contract: string, functionName: string): LedgerError {
  return new LedgerError('LEDGER_CONTRACT_MISSING', `${contract}.${functionName} is no part of the twin`);
}

/** The arguments of NodeRegistry.requireAdmissible. */
function toAdmission([admission]: Arguments): Extract<Vote, { type: 'Admission' }> {
  const given = admission as Record<Exclude<keyof NodeRecord, 'level'>, string> & {
    level: number;
    epoch: bigint;
  };
  const record: NodeRecord = {
    account: addressOf(given.account),
    owner: addressOf(given.owner),
    peerKey: fromHex(given.peerKey),
    ekId: fromHex(given.ekId),
    akX: fromHex(given.akX),
    akY: fromHex(given.akY),
    vrfX: fromHex(given.vrfX),
    vrfY: fromHex(given.vrfY),
    level: given.level,
    endpoint: given.endpoint,
  };
  return { type: 'Admission', record, epoch: Number(given.epoch) };
}

/** The arguments of Disputes.report. */
function toReport([request, proof, signature]: Arguments): Call {
  const given = request as Omit<AttestationRequest, 'epoch' | 'nonce' | 'proofHash'> & {
    epoch: bigint;
    nonce: string;
    proofHash: string;
  };
  return {
    kind: 'report',
    request: {
      ...given,
      epoch: Number(given.epoch),
      nonce: fromHex(given.nonce),
      proofHash: fromHex(given.proofHash),
    },
    proof: bytesOf(proof),
    signature: signature as string,
  };
}

function toRegistration([capsuleId, cid, payloadHash, policy, receiverKey, agent]: Arguments): Call {
  return {
    kind: 'capsule',
    terms: {
      capsuleId: bytesOf(capsuleId),
      cid: bytesOf(cid),
      payloadHash: bytesOf(payloadHash),
      policy: addressOf(policy),
      receiverKey: bytesOf(receiverKey),
      agent: agent as string,
    },
  };
}

function toRule(rule: unknown): ReleaseRuleOnContract {
  const { codeDigest, imageDigest, minCredit, minLevel, expiry } = rule as {
    codeDigest: string;
    imageDigest: string;
    minCredit: number;
    minLevel: number;
    expiry: bigint;
  };
  const digests = { codeDigest: fromHex(codeDigest), imageDigest: fromHex(imageDigest) };
  return { ...digests, minCredit, minLevel, expiryS: Number(expiry) };
}

function toTerms([terms, spec]: Arguments): TaskTerms {
  const given = terms as Omit<TaskTerms, 'spec' | 'codeDigest' | 'imageDigest' | 'capsuleIds'> & {
    codeDigest: string;
    imageDigest: string;
    capsuleIds: readonly string[];
  };
  return {
    ...given,
    codeDigest: fromHex(given.codeDigest),
    imageDigest: fromHex(given.imageDigest),
    capsuleIds: given.capsuleIds.map((id) => fromHex(id)),
    spec: bytesOf(spec),
  };
}

function fromCapsule({ owner, policy, cid, payloadHash, receiverKey, agent }: ReturnType<typeof capsuleOf>) {
  const hex = (bytes: Uint8Array): string => `0x${toHex(bytes)}`;
  return {
    owner,
    policy,
    cid: hex(cid),
    payloadHash: hex(payloadHash),
    receiverKey: hex(receiverKey),
    agent,
  };
}

function bytesOf(argument: unknown): Uint8Array {
  return fromHex(argument as string);
}

function digitsOf(argument: unknown): string {
  return toHex(bytesOf(argument));
}

function addressOf(argument: unknown): string {
  return (argument as string).toLowerCase();
}
