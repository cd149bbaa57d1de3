import { fromHex } from '@nemea/core';
import type { Vote } from '@nemea/membership';
import { voteDigest } from '@nemea/sdk';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import type { Hex } from 'viem';
import { publicKeyToAddress } from 'viem/utils';
import { type LayerOneState, Revert } from './state.ts';

const S_MAX = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;
const RECOVERED_MAX = 4_096;
const recovered = new Map<string, string>();

/** The signer of a digest, as QuorumCertificate.recover tells it. */
export function recoverSigner(digest: string, signature: string): string {
  const key = `${digest}:${signature}`;
  const known = recovered.get(key);
  if (known !== undefined) return known;
  const bytes = fromHex(signature);
  if (bytes.length !== 65) throw new Revert('SignatureLengthInvalid', `${bytes.length} bytes`);
  if (BigInt(`0x${signature.slice(66, 130)}`) > S_MAX) throw new Revert('SignatureSTooHigh', signature);
  const v = bytes[64];
  if (v !== 27 && v !== 28) throw new Revert('SignatureInvalid', `v is ${v}`);
  const signed = new Uint8Array(65);
  signed[0] = v - 27;
  signed.set(bytes.subarray(0, 64), 1);
  let account: string;
  try {
    const point = secp256k1.recoverPublicKey(signed, fromHex(digest), { prehash: false });
    const full = secp256k1.Point.fromBytes(point).toHex(false);
    account = publicKeyToAddress(`0x${full}` as Hex).toLowerCase();
  } catch {
    // Whatever is wrong with it, the precompile answers with no address.
    throw new Revert('SignatureInvalid', 'recovers to no address');
  }
  if (recovered.size >= RECOVERED_MAX) recovered.delete(recovered.keys().next().value as string);
  recovered.set(key, account);
  return account;
}

export function votingWeight(state: LayerOneState, account: string): number {
  if (state.genesisPending !== 0) return state.genesis.includes(account) ? 1 : 0;
  return state.nodes.get(account)?.weight ?? 0;
}

export function weightTotal(state: LayerOneState): number {
  if (state.genesisPending !== 0) return state.genesis.length;
  let total = 0;
  for (const node of state.nodes.values()) total += node.weight;
  return total;
}

/** NodeRegistry.requireQuorum: signers rise by address, each has a vote, together more than two thirds. */
export function requireQuorum(state: LayerOneState, vote: Vote, signatures: readonly string[]): void {
  const digest = voteDigest(state.network, vote);
  let previous = '';
  let weight = 0;
  for (const signature of signatures) {
    const signer = recoverSigner(digest, signature);
    if (signer <= previous) throw new Revert('SignersNotRising', `${signer} after ${previous}`);
    const signerWeight = votingWeight(state, signer);
    if (signerWeight === 0) throw new Revert('SignerNotVoter', signer);
    weight += signerWeight;
    previous = signer;
  }
  const total = weightTotal(state);
  if (weight * 3 <= total * 2) throw new Revert('QuorumNotReached', `${weight} of ${total}`);
}
