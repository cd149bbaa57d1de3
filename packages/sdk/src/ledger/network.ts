import { CodedError } from '@nemea/core';
import { z } from 'zod';

const address = z.string().regex(/^0x[0-9a-fA-F]{40}$/);

const networkSchema = z.strictObject({
  name: z.string().min(1).max(64),
  rpcUrl: z.url(),
  chainId: z.number().int().positive(),
  startBlock: z.number().int().min(0),
  epochMs: z.number().int().min(1000),
  contracts: z.strictObject({
    feeToken: address,
    nodeRegistry: address,
    policyRegistry: address,
    epochLog: address,
    capsuleRegistry: address,
    releasePolicy: address,
    taskEscrow: address,
    disputes: address,
  }),
});

/** Where a network's layer 1 is: the one document that a newcomer needs. Public. */
export type Network = z.infer<typeof networkSchema>;
export type Contracts = Network['contracts'];
export type ContractName = keyof Contracts;

export class NetworkError extends CodedError<'NETWORK_INVALID'> {}

/** Parses `network.json`. Throws `NETWORK_INVALID` naming the field. */
export function parseNetwork(json: string): Network {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new NetworkError('NETWORK_INVALID', 'network file is not JSON', { cause });
  }
  const parsed = networkSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new NetworkError('NETWORK_INVALID', `network file: ${issue?.path.join('.')}: ${issue?.message}`);
}
