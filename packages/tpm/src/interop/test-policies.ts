import { generateKeyPairSync, sign } from 'node:crypto';
import { ByteWriter, concatBytes, fromUtf8, toHex } from '@nemea/core';
import { HANDLE } from '../command.ts';
import { Unseal } from '../commands/index.ts';
import type { TpmKey } from '../object.ts';
import type { PolicyMeans } from '../sessions/policy-means.ts';
import { ALG, digestOf } from '../structures/algorithms.ts';
import { OPERATION, type PolicyAssertion, policyDigest } from '../structures/policy-digest.ts';
import { nameOf } from '../structures/public-area.ts';
import { encodeSignature } from '../structures/signature.ts';
import { hexHandle, type SharedTpm } from './test-tools.ts';

/** What the policies speak of. */
export interface Premises {
  /** A key that knows a password. */
  readonly guard: TpmKey;
  /** TPMT_PUBLIC of a key in software, whose signature counts. */
  readonly signer: Uint8Array;
  readonly dataIndex: Uint8Array;
  readonly policyIndex: Uint8Array;
}

/** One policy, said twice. */
export interface SharedPolicy {
  readonly name: string;
  /** Of the policy and of the object's name. */
  readonly hash: 'sha256' | 'sha384';
  /** Whether the object's password is demanded too. */
  readonly wantsPassword: boolean;
  /** For this client, which computes its digest and satisfies it. */
  assertions(premises: Premises): readonly PolicyAssertion[];
  /** By tpm2-tools, each with its arguments but for the session. */
  readonly tools: readonly (readonly string[])[];
}

const PCR = 16;
const GUARD = 0x81000002;
const GUARD_PASSWORD = 'of the guard';
const DATA_INDEX = 0x01500001;
const POLICY_INDEX = 0x01500002;
const DATA = fromUtf8('abcdefgh');
const REF = fromUtf8('a reference');
const TIME_MS_MAX = 0x7fffffff;
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });

function signed(message: Uint8Array): Uint8Array {
  const rs = sign('sha256', message, { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  const [r, s] = [rs.subarray(0, 32), rs.subarray(32)];
  return encodeSignature({ scheme: 'ecdsa', hashAlg: ALG.sha256, r, s });
}

const EXTENDED = { sha256: 'ab'.repeat(32), sha384: 'cd'.repeat(48) } as const;

/** The value of the PCR was zero before it was extended, and the digest of one value is its hash. */
function pcrAssertion(bank: 'sha256' | 'sha384'): PolicyAssertion {
  const hashAlg = ALG[bank];
  const extended = Buffer.from(EXTENDED[bank], 'hex');
  const value = digestOf(hashAlg, new Uint8Array(extended.length), extended);
  return { type: 'pcr', selections: [{ hashAlg, pcrs: [PCR] }], pcrDigest: digestOf(hashAlg, value) };
}

const OF_PCR = policyDigest([pcrAssertion('sha256')]);
const APPROVAL = { approvedPolicy: OF_PCR, signature: signed(concatBytes(OF_PCR, REF)) };
const OF_PASSWORD = policyDigest([{ type: 'auth-value' }]);
const BRANCHES = [OF_PASSWORD, OF_PCR];
const policyPcr = ['policypcr', '-l', `sha256:${PCR}`] as const;
const EARLY = {
  operandB: new ByteWriter().u64(BigInt(TIME_MS_MAX)).toBytes(),
  operation: OPERATION.unsignedLt,
};
const simple = { hash: 'sha256', wantsPassword: false } as const;

export const POLICIES: readonly SharedPolicy[] = [
  {
    ...simple,
    name: 'PolicyPCR',
    assertions: () => [pcrAssertion('sha256')],
    tools: [policyPcr],
  },
  {
    ...simple,
    name: 'PolicyPCR in SHA-384',
    hash: 'sha384',
    assertions: () => [pcrAssertion('sha384')],
    tools: [['policypcr', '-l', `sha384:${PCR}`]],
  },
  {
    ...simple,
    name: 'PolicyPassword',
    wantsPassword: true,
    assertions: () => [{ type: 'password' }],
    tools: [['policypassword']],
  },
  {
    ...simple,
    name: 'AuthValue, PCR and CommandCode',
    wantsPassword: true,
    assertions: () => [
      { type: 'auth-value' },
      pcrAssertion('sha256'),
      { type: 'command-code', code: Unseal.code },
    ],
    tools: [['policyauthvalue'], policyPcr, ['policycommandcode', 'TPM2_CC_Unseal']],
  },
  {
    ...simple,
    name: 'PolicyOR',
    assertions: () => [pcrAssertion('sha256'), { type: 'or', digests: BRANCHES }],
    tools: [policyPcr, ['policyor', 'sha256:branch-1,branch-2']],
  },
  {
    ...simple,
    name: 'PolicySecret of the owner',
    assertions: () => [{ type: 'secret', name: new ByteWriter().u32(HANDLE.owner).toBytes() }],
    tools: [['policysecret', '-c', 'o']],
  },
  {
    ...simple,
    name: 'PolicySecret of a key with a password',
    assertions: ({ guard }) => [{ type: 'secret', name: guard.name, policyRef: REF }],
    tools: [['policysecret', '-c', hexHandle(GUARD), '-q', toHex(REF), GUARD_PASSWORD]],
  },
  {
    ...simple,
    name: 'PolicySigned',
    assertions: ({ signer }) => [{ type: 'signed', name: nameOf(signer), policyRef: REF }],
    tools: [['policysigned', '-c', 'signer', '-g', 'sha256', '-s', 'signed', '-q', toHex(REF)]],
  },
  {
    ...simple,
    name: 'PolicyAuthorize of a PolicyPCR',
    assertions: ({ signer }) => [
      pcrAssertion('sha256'),
      { type: 'authorize', name: nameOf(signer), policyRef: REF },
    ],
    tools: [
      policyPcr,
      ['policyauthorize', '-n', 'signer.name', '-i', 'branch-2', '-t', 'ticket', '-q', toHex(REF)],
    ],
  },
  {
    ...simple,
    name: 'PolicyNV',
    assertions: ({ dataIndex }) => [
      { type: 'nv', name: dataIndex, operandB: DATA.slice(2, 4), offset: 2, operation: OPERATION.eq },
    ],
    tools: [['policynv', '-C', 'o', '-i', 'operand', '--offset=2', hexHandle(DATA_INDEX), 'eq']],
  },
  {
    ...simple,
    name: 'PolicyAuthorizeNV of a PolicyPCR',
    assertions: ({ policyIndex }) => [pcrAssertion('sha256'), { type: 'authorize-nv', name: policyIndex }],
    tools: [policyPcr, ['policyauthorizenv', '-C', 'o', hexHandle(POLICY_INDEX)]],
  },
  {
    ...simple,
    name: 'PolicyCounterTimer',
    assertions: () => [{ type: 'counter-timer', ...EARLY }],
    tools: [['policycountertimer', '--ult', `time=${TIME_MS_MAX}`]],
  },
  {
    ...simple,
    name: 'PolicyLocality',
    assertions: () => [{ type: 'locality', locality: 1 }],
    tools: [['policylocality', 'zero']],
  },
];

/** What this client satisfies them with. */
export function meansOf({ guard, signer }: Premises): PolicyMeans {
  return {
    secrets: [{ entity: guard, auth: { password: fromUtf8(GUARD_PASSWORD) } }],
    signers: [{ publicArea: signer, sign: signed }],
    authorities: [{ publicArea: signer, policyRef: REF, approvals: [APPROVAL] }],
    indexes: [{ index: DATA_INDEX }, { index: POLICY_INDEX }],
  };
}

/** Makes, by the tools, what the policies speak of. */
export async function makePremises(shared: SharedTpm): Promise<Premises> {
  const { tool, write, read } = shared;
  await tool('pcrextend', `${PCR}:sha256=${EXTENDED.sha256},sha384=${EXTENDED.sha384}`);
  await tool('createprimary', '-C', 'o', '-G', 'ecc', '-p', GUARD_PASSWORD, '-c', 'guard');
  await tool('evictcontrol', '-C', 'o', '-c', 'guard', hexHandle(GUARD));

  await write('operand', DATA.slice(2, 4));
  await write('branch-1', OF_PASSWORD);
  await write('branch-2', OF_PCR);
  await define(shared, DATA_INDEX, DATA);
  await define(shared, POLICY_INDEX, concatBytes(new ByteWriter().u16(ALG.sha256).toBytes(), OF_PCR));

  await write('signer.pem', key.publicKey.export({ format: 'pem', type: 'spki' }));
  await tool('loadexternal', '-C', 'o', '-G', 'ecc', '-u', 'signer.pem', '-c', 'signer', '-n', 'signer.name');
  await tool('readpublic', '-c', 'signer', '-f', 'tpmt', '-o', 'signer.area');
  await write('signed', signed(concatBytes(new Uint8Array(4), REF)));
  await write('approval', concatBytes(OF_PCR, REF));
  await write('approval.signature', APPROVAL.signature);
  const approved = ['-m', 'approval', '-s', 'approval.signature', '-t', 'ticket'];
  await tool('verifysignature', '-c', 'signer', '-g', 'sha256', ...approved);

  return await shared.client(async (tpm) => ({
    guard: await tpm.readPublic(GUARD),
    signer: await read('signer.area'),
    dataIndex: (await tpm.nvReadPublic(DATA_INDEX)).name,
    policyIndex: (await tpm.nvReadPublic(POLICY_INDEX)).name,
  }));
}

async function define({ tool, write }: SharedTpm, index: number, content: Uint8Array): Promise<void> {
  await write('content', content);
  const attributes = ['-a', 'ownerread|ownerwrite|policyread|policywrite'];
  await tool('nvdefine', '-C', 'o', hexHandle(index), '-s', String(content.length), ...attributes);
  await tool('nvwrite', '-C', 'o', hexHandle(index), '-i', 'content');
}
