import { toHex } from '@nemea/core';
import { type Block, type Emitted, type LayerOneState, Revert } from './state.ts';

const CID_BYTES_MAX = 128;
const AGENT_BYTES_MAX = 512;
const LEVEL_MAX = 3;

/** What an owner registers of a capsule. */
export interface CapsuleTerms {
  readonly capsuleId: Uint8Array;
  readonly cid: Uint8Array;
  readonly payloadHash: Uint8Array;
  /** Address of the policy's contract. */
  readonly policy: string;
  readonly receiverKey: Uint8Array;
  readonly agent: string;
}

export interface CapsuleOnContract extends CapsuleTerms {
  readonly owner: string;
}

export interface ReleaseRuleOnContract {
  readonly codeDigest: Uint8Array;
  readonly imageDigest: Uint8Array;
  readonly minCredit: number;
  readonly minLevel: number;
  readonly expiryS: number;
}

/** The answers of a release policy, as the contract numbers them. */
const RELEASE_CODES = {
  permitted: 0,
  ruleMissing: 1,
  ruleExpired: 2,
  codeNotPermitted: 3,
  imageNotPermitted: 4,
  taskUnknown: 5,
  taskNotLive: 6,
  taskCapsuleMissing: 7,
  taskCodeMismatch: 8,
  taskImageMismatch: 9,
  executorNotActive: 10,
  executorCreditTooLow: 11,
  executorLevelTooLow: 12,
} as const;

/** CapsuleRegistry.register */
export function registerCapsule(state: LayerOneState, from: string, terms: CapsuleTerms): Emitted[] {
  const { capsuleId, cid, payloadHash, policy, receiverKey, agent } = terms;
  if (isZero(capsuleId)) throw new Revert('CapsuleFieldInvalid', 'capsuleId');
  if (cid.length === 0 || cid.length > CID_BYTES_MAX) throw new Revert('CapsuleFieldInvalid', 'cid');
  if (isZero(payloadHash)) throw new Revert('CapsuleFieldInvalid', 'payloadHash');
  if (policy !== state.network.contracts.releasePolicy) throw new Revert('CapsuleFieldInvalid', 'policy');
  if (isZero(receiverKey)) throw new Revert('CapsuleFieldInvalid', 'receiverKey');
  if (agent.length === 0 || agent.length > AGENT_BYTES_MAX) throw new Revert('CapsuleFieldInvalid', 'agent');
  const id = toHex(capsuleId);
  if (state.capsules.has(id)) throw new Revert('CapsuleExists', id);
  state.capsules.set(id, { ...terms, owner: from });
  return [];
}

/** CapsuleRegistry.capsule */
export function capsuleOf(state: LayerOneState, capsuleId: string): CapsuleOnContract {
  const capsule = state.capsules.get(capsuleId);
  if (capsule === undefined) throw new Revert('CapsuleUnknown', capsuleId);
  return capsule;
}

/** StandardReleasePolicy.setRule */
export function setRule(
  state: LayerOneState,
  from: string,
  { capsuleId, rule }: { capsuleId: Uint8Array; rule: ReleaseRuleOnContract },
  block: Block,
): Emitted[] {
  const id = toHex(capsuleId);
  if (state.capsules.get(id)?.owner !== from) throw new Revert('NotOwnerOfCapsule', id);
  if (isZero(rule.codeDigest)) throw new Revert('RuleFieldInvalid', 'codeDigest');
  if (isZero(rule.imageDigest)) throw new Revert('RuleFieldInvalid', 'imageDigest');
  if (rule.minLevel === 0 || rule.minLevel > LEVEL_MAX) throw new Revert('RuleFieldInvalid', 'minLevel');
  if (rule.expiryS <= block.timestampS) throw new Revert('RuleExpiryPast', `${rule.expiryS}`);
  state.rules.set(id, rule);
  return [];
}

/** What StandardReleasePolicy.check is asked; digests and ids in hexadecimal digits. */
export interface ReleaseQuestion {
  readonly capsuleId: string;
  readonly taskId: string;
  readonly codeDigest: string;
  readonly imageDigest: string;
  readonly executor: string;
}

/** StandardReleasePolicy.check */
export function checkRelease(state: LayerOneState, question: ReleaseQuestion, nowS: number): number {
  const codes = RELEASE_CODES;
  const rule = state.rules.get(question.capsuleId);
  if (rule === undefined) return codes.ruleMissing;
  if (nowS > rule.expiryS) return codes.ruleExpired;
  if (question.codeDigest !== toHex(rule.codeDigest)) return codes.codeNotPermitted;
  if (question.imageDigest !== toHex(rule.imageDigest)) return codes.imageNotPermitted;
  const found = state.tasks.get(question.taskId);
  if (found === undefined) return codes.taskUnknown;
  const { task } = found;
  const isOpen = found.state === 'created' || found.state === 'elected';
  if (!isOpen || nowS > found.createdAtS + task.timeoutS + state.graceS) return codes.taskNotLive;
  if (!task.capsuleIds.some((id) => toHex(id) === question.capsuleId)) return codes.taskCapsuleMissing;
  if (toHex(task.codeDigest) !== question.codeDigest) return codes.taskCodeMismatch;
  if (toHex(task.imageDigest) !== question.imageDigest) return codes.taskImageMismatch;
  const node = state.nodes.get(question.executor);
  if (node?.status !== 'active') return codes.executorNotActive;
  if (node.credit < rule.minCredit) return codes.executorCreditTooLow;
  if ((node.record?.level ?? 0) < rule.minLevel) return codes.executorLevelTooLow;
  return codes.permitted;
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
