import { existsSync } from 'node:fs';
import { type AttestationResult, LEVEL, parseResult } from '@nemea/attestation';
import { CodedError, fromHex } from '@nemea/core';
import type { Ledger } from '@nemea/sdk';
import { z } from 'zod';
import { readText } from '../files.ts';
import type { Claim } from './claims.ts';

export class AttestError extends CodedError<'NODE_UNKNOWN' | 'MEMBER_NEEDED' | 'MEMBER_ANSWER_INVALID'> {}

export interface NodeOptions {
  readonly dir: string;
  readonly network?: string;
  readonly via?: string;
}

/** Why a node should be trusted: what layer 1 says of it, and what a member's own judge found when it last looked. */
export interface NodeJudgement {
  readonly account: string;
  readonly verdict: AttestationResult['verdict'];
  readonly layer1: {
    readonly chainId: number;
    readonly nodeRegistry: string;
    readonly block: number;
    readonly claims: readonly Claim[];
  };
  readonly member: { readonly account: string; readonly result: AttestationResult };
}

export async function judgeNode(node: string, options: NodeOptions): Promise<NodeJudgement> {
  const { devnetPaths } = await import('../devnet/paths.ts');
  const { openLedger, parseNetwork } = await import('@nemea/sdk');
  const paths = devnetPaths(options.dir);
  const account = await accountOf(node, paths.node);
  const network = parseNetwork(readText(options.network ?? paths.network, { code: 'NETWORK_UNREADABLE' }));
  const ledger = await openLedger(network);
  while ((await ledger.sync()) > 0);
  const { chainId, contracts } = network;
  const block = ledger.history.head;
  const claims = await factsOf(account, ledger, block);
  const member = await judgedBy(account, options, paths.node);
  const verdicts = [...claims, member.result].map(({ verdict }) => verdict);
  const verdict = SEVERITY.find((candidate) => verdicts.includes(candidate)) ?? 'affirming';
  return {
    account,
    verdict,
    layer1: { chainId, nodeRegistry: contracts.nodeRegistry, block, claims },
    member,
  };
}

const SEVERITY = ['contraindicated', 'warning'] as const;

async function accountOf(node: string, dirOf: (index: number) => string): Promise<string> {
  if (/^0x[0-9a-f]{40}$/i.test(node)) return node.toLowerCase();
  const index = /^node-(\d{1,3})$/.exec(node)?.[1];
  if (index === undefined) {
    const wanted = "an account or a devnet's name such as node-3";
    throw new AttestError('NODE_UNKNOWN', `${node}: neither a file, nor a node: want ${wanted}`);
  }
  const { readDeviceFacts } = await import('@nemea/node/device');
  return readDeviceFacts(dirOf(Number(index))).account;
}

const STATUSES = ['never admitted', 'active member', 'evicted', 'exiting', 'left'] as const;
const ACTIVE = 1;
const TOKEN = 10n ** 18n;
const DEVELOPMENT = 'software TPM: good for development only';

/** What the contract says of the account as of one block. */
async function factsOf(account: string, ledger: Ledger, block: number): Promise<Claim[]> {
  const record = await ledger.read<{
    status: number;
    level: number;
    credit: number;
    weight: number;
    deposit: bigint;
    admittedEpoch: bigint;
  }>('nodeRegistry', 'node', [account], { block });
  if (record.status === 0) throw new AttestError('NODE_UNKNOWN', `${account} was never admitted`);
  const depositMin = await ledger.read<bigint>('nodeRegistry', 'depositMin', [], { block });
  const { status, deposit, credit, weight, admittedEpoch } = record;
  const isActive = status === ACTIVE;
  const hasDeposit = deposit >= depositMin;
  const from = (field: string) => `nodeRegistry.node(account).${field} at block ${block}`;
  return [
    {
      name: 'status',
      verdict: isActive ? 'affirming' : 'contraindicated',
      reason: isActive ? 'OK' : 'NOT_ACTIVE',
      source: from('status'),
      claimed: status,
      reference: ACTIVE,
      detail: STATUSES[status] ?? `unknown status ${status}`,
    },
    {
      name: 'deposit',
      verdict: hasDeposit ? 'affirming' : 'contraindicated',
      reason: hasDeposit ? 'OK' : 'DEPOSIT_TOO_LOW',
      source: from('deposit'),
      claimed: String(deposit),
      reference: `${depositMin} at least, of nodeRegistry.depositMin()`,
      detail: `${deposit / TOKEN} tokens at stake, least ${depositMin / TOKEN}`,
    },
    {
      name: 'credit',
      verdict: credit > 0 ? 'affirming' : 'contraindicated',
      reason: credit > 0 ? 'OK' : 'CREDIT_NONE',
      source: from('credit'),
      claimed: credit,
      reference: 'more than 0',
      detail: `${credit}, voting weight ${weight}`,
    },
    { ...levelOf(record.level), source: from('level'), claimed: record.level },
    {
      name: 'admitted',
      verdict: 'affirming',
      reason: 'OK',
      source: from('admittedEpoch'),
      claimed: String(admittedEpoch),
      reference: null,
      detail: `in epoch ${admittedEpoch}, on a quorum certificate`,
    },
  ];
}

function levelOf(level: number): Omit<Claim, 'source' | 'claimed'> {
  const claim = { name: 'level', reference: `${LEVEL.vouched} at least` };
  switch (level) {
    case LEVEL.development:
      return { ...claim, verdict: 'warning', reason: 'LEVEL_DEVELOPMENT', detail: DEVELOPMENT };
    case LEVEL.vouched:
      return { ...claim, verdict: 'affirming', reason: 'OK', detail: 'vouched for by its root of trust' };
    case LEVEL.hardware:
      return { ...claim, verdict: 'affirming', reason: 'OK', detail: 'hardware TPM' };
    default:
      return {
        ...claim,
        verdict: 'contraindicated',
        reason: 'LEVEL_UNKNOWN',
        detail: `unknown level ${level}`,
      };
  }
}

/** As many as a devnet may have, and one that joined. */
const DEVNET_NODES = Array.from({ length: 17 }, (_, i) => i + 1);

const answerSchema = z.array(z.object({ account: z.string(), result: z.string() }));

/** The newest result that a member's own judge reached; the caller trusts that member, and may run it. */
async function judgedBy(
  account: string,
  { via }: NodeOptions,
  dirOf: (index: number) => string,
): Promise<NodeJudgement['member']> {
  const { callControl, ControlError } = await import('@nemea/node/control');
  const { readDeviceFacts, socketPath } = await import('@nemea/node/device');
  const found: NodeJudgement['member'][] = [];
  for (const dir of via === undefined ? DEVNET_NODES.map(dirOf) : [via]) {
    const socket = socketPath(dir, 'control.sock');
    if (via === undefined && !existsSync(socket)) continue;
    const member = readDeviceFacts(dir).account;
    if (member === account) continue;
    try {
      const result = resultIn(await callControl<unknown>(socket, 'GET /attestations'), account);
      if (result !== undefined) found.push({ account: member, result });
    } catch (error) {
      // A member that was killed leaves its socket behind; another may have judged.
      if (via !== undefined || !(error instanceof ControlError)) throw error;
    }
  }
  const [newest] = found.sort((a, b) => b.result.appraisedAtMs - a.result.appraisedAtMs);
  if (newest !== undefined) return newest;
  throw new AttestError('MEMBER_NEEDED', 'no running member has judged this node yet: name one with --via');
}

function resultIn(answer: unknown, account: string): AttestationResult | undefined {
  const parsed = answerSchema.safeParse(answer);
  if (!parsed.success) {
    throw new AttestError('MEMBER_ANSWER_INVALID', `GET /attestations: ${z.prettifyError(parsed.error)}`);
  }
  const judged = parsed.data.find((candidate) => candidate.account === account);
  return judged === undefined ? undefined : parseResult(fromHex(judged.result));
}
