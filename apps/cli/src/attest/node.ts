import { existsSync, readFileSync } from 'node:fs';
import { CodedError } from '@nemea/core';

export class AttestError extends CodedError<'NODE_UNKNOWN' | 'MEMBER_NEEDED'> {}

export interface NodeOptions {
  readonly dir: string;
  readonly network?: string;
  readonly via?: string;
}

/** One answer to "why should I trust this node?". */
export interface Claim {
  readonly claim: string;
  readonly verdict: 'affirming' | 'warning' | 'contraindicated' | 'none';
  readonly why: string;
}

/** What a member's own judge found the last time it looked. */
interface Judged {
  readonly account: string;
  readonly atMs: number;
  readonly verdict: Claim['verdict'];
  readonly claims: readonly { name: string; verdict: Claim['verdict']; reason: string; detail: string }[];
}

/** Facts on layer 1, and what a member's own judge found the last time it looked. */
export async function judgeNode(
  node: string,
  options: NodeOptions,
): Promise<{ account: string; claims: Claim[] }> {
  const { devnetPaths } = await import('../devnet/paths.ts');
  const { readDeviceFacts } = await import('@nemea/node/device');
  const { openLedger, parseNetwork } = await import('@nemea/sdk');
  const paths = devnetPaths(options.dir);
  const account = node.startsWith('0x')
    ? node.toLowerCase()
    : readDeviceFacts(paths.node(indexOf(node))).account;
  const ledger = await openLedger(parseNetwork(readFileSync(options.network ?? paths.network, 'utf8')));
  while ((await ledger.sync()) > 0);
  const record = await ledger.read<{
    status: number;
    level: number;
    credit: number;
    weight: number;
    deposit: bigint;
    admittedEpoch: bigint;
  }>('nodeRegistry', 'node', [account]);
  if (record.status === 0) throw new AttestError('NODE_UNKNOWN', `${account} was never admitted`);
  const minimum = await ledger.read<bigint>('nodeRegistry', 'depositMin');
  const claims: Claim[] = [
    claim('status', record.status === 1, STATUSES[record.status] ?? String(record.status)),
    claim(
      'deposit',
      record.deposit >= minimum,
      `${record.deposit / 10n ** 18n} tokens at stake, least ${minimum / 10n ** 18n}`,
    ),
    claim('credit', record.credit > 0, `${record.credit}, voting weight ${record.weight}`),
    {
      claim: 'level',
      verdict: record.level === 1 ? 'warning' : 'affirming',
      why: LEVELS[record.level] ?? String(record.level),
    },
    claim('admitted', true, `in epoch ${record.admittedEpoch}, on a quorum certificate`),
  ];
  return { account, claims: [...claims, ...(await judgedBy(account, options, paths.node))] };
}

/** The newest result that a member's own judge reached; the caller trusts that member, and may run it. */
async function judgedBy(
  account: string,
  options: { via?: string },
  nodeDir: (index: number) => string,
): Promise<Claim[]> {
  const { callControl } = await import('@nemea/node/control');
  const { readDeviceFacts, socketPath } = await import('@nemea/node/device');
  const candidates =
    options.via === undefined ? Array.from({ length: 17 }, (_, i) => nodeDir(i + 1)) : [options.via];
  for (const dir of candidates) {
    if (!existsSync(socketPath(dir, 'control.sock')) || readDeviceFacts(dir).account === account) continue;
    const all = await callControl<Judged[]>(socketPath(dir, 'control.sock'), 'GET /attestations');
    const judged = all.find((candidate) => candidate.account === account);
    if (judged === undefined) continue;
    const ageS = Math.round((Date.now() - judged.atMs) / 1000);
    return judged.claims.map(({ name, verdict, reason, detail }) => ({
      claim: name,
      verdict,
      why: `${detail}${reason === 'OK' ? '' : ` [${reason}]`} (${ageS} s ago)`,
    }));
  }
  throw new AttestError('MEMBER_NEEDED', 'no running member has judged this node yet: name one with --via');
}

const STATUSES = ['never admitted', 'active member', 'evicted', 'exiting', 'left'] as const;
const LEVELS = [
  'none',
  'software TPM: good for development only',
  'vouched for by its root of trust',
  'hardware TPM',
] as const;

function claim(name: string, holds: boolean, why: string): Claim {
  return { claim: name, verdict: holds ? 'affirming' : 'contraindicated', why };
}

function indexOf(name: string): number {
  const index = Number(/^node-(\d+)$/.exec(name)?.[1]);
  if (!Number.isInteger(index))
    throw new AttestError('NODE_UNKNOWN', `node: got ${name}, want an account or a name such as node-3`);
  return index;
}
