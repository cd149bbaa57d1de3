import { generateKeyPairSync, sign } from 'node:crypto';
import { ByteWriter, concatBytes, fromUtf8, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HANDLE } from '../command.ts';
import { NV_DefineSpace, NV_UndefineSpace, Unseal } from '../commands/index.ts';
import { run } from '../commands/run.ts';
import type { TpmIo } from '../executor.ts';
import { nvReadPublic, nvWrite } from '../nv.ts';
import { ALG, CURVE, NV_ATTRIBUTE } from '../structures/algorithms.ts';
import { OPERATION, type PolicyAssertion, policyDigest } from '../structures/policy-digest.ts';
import { encodePublicArea, nameOf } from '../structures/public-area.ts';
import { encodeSignature } from '../structures/signature.ts';
import { startTestTpm, type TestTpm } from '../testing.ts';
import { underPolicy } from './policy.ts';
import type { PolicyMeans } from './policy-means.ts';
import { satisfyPolicy } from './satisfy.ts';
import { SECRET, withSealed } from './testing.ts';

const POLICY_ONLY = 0x412;
const INDEX = 0x01800300;
const REF = fromUtf8('reference');
const PASSWORD = fromUtf8('of the index');
const NONE = new Uint8Array(0);

let software: TestTpm;
beforeAll(async () => {
  software = await startTestTpm();
});
afterAll(() => software.stop());

type Means = PolicyMeans | (() => Promise<PolicyMeans>);

/** Seals under a policy, and unseals by each of these means in turn; gives what came of each. */
async function unsealedBy(
  io: TpmIo,
  assertions: readonly PolicyAssertion[],
  ...attempts: readonly Means[]
): Promise<string[]> {
  const sealed = { auth: NONE, authPolicy: policyDigest(assertions), attributes: POLICY_ONLY };
  return await withSealed(io, sealed, async (object) => {
    const outcomes: string[] = [];
    for (const attempt of attempts) {
      const means = typeof attempt === 'function' ? await attempt() : attempt;
      try {
        const { outData } = await underPolicy(io, {
          assert: (session) => satisfyPolicy(io, session, assertions, means),
          use: (session) => run(io, Unseal, { handles: { itemHandle: object }, auth: [session] }),
        });
        outcomes.push(toHex(outData) === toHex(SECRET) ? 'unsealed' : 'something else');
      } catch (error) {
        outcomes.push(codeOf(error));
      }
    }
    return outcomes;
  });
}

/** The error's code or, of a refusal by the TPM, what it says to which command. */
function codeOf(error: unknown): string {
  const { code, data } = error as { code: string; data: { command?: string; name?: string } };
  return code === 'TPM_RETURN_CODE' ? `${data.command}: ${data.name}` : code;
}

/** A key outside the TPM: P-256, named by a hash of choice. */
function newKey(nameAlg: number = ALG.sha256) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const publicArea = encodePublicArea({
    type: 'ecc',
    nameAlg,
    // sign, userWithAuth, noDA.
    attributes: 0x00040440,
    authPolicy: NONE,
    symmetric: undefined,
    scheme: undefined,
    curve: CURVE.p256,
    kdf: undefined,
    x: Buffer.from(x, 'base64url'),
    y: Buffer.from(y, 'base64url'),
  });
  const signed = (message: Uint8Array, hash: 'sha256' | 'sha384' = 'sha256') => {
    const rs = sign(hash, message, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    const [r, s] = [rs.subarray(0, 32), rs.subarray(32)];
    return encodeSignature({ scheme: 'ecdsa', hashAlg: ALG[hash], r, s });
  };
  return { publicArea, name: nameOf(publicArea), sign: signed };
}

describe('a policy that wants a signature (PolicySigned)', () => {
  const key = newKey();
  const policy: PolicyAssertion[] = [{ type: 'signed', name: key.name, policyRef: REF }];

  it('is satisfied by the key, in each session anew, whatever hash it signs by', async () => {
    const longer = { ...key, sign: (message: Uint8Array) => key.sign(message, 'sha384') };
    const outcomes = await software.tpm.exclusive((io) =>
      unsealedBy(io, policy, { signers: [newKey(), key] }, { signers: [longer] }),
    );
    expect(outcomes).toEqual(['unsealed', 'unsealed']);
  });

  it('is not by another key, another message, the signature of another session, or nobody', async () => {
    let earlier: Uint8Array | undefined;
    const repeating = { ...key, sign: (message: Uint8Array) => (earlier ??= key.sign(message)) };
    const outcomes = await software.tpm.exclusive((io) =>
      unsealedBy(
        io,
        policy,
        { signers: [repeating] },
        { signers: [repeating] },
        { signers: [{ ...key, sign: newKey().sign }] },
        { signers: [{ ...key, sign: (message) => key.sign(message.subarray(1)) }] },
        { signers: [{ ...key, sign: () => NONE }] },
        { signers: [newKey()] },
        {},
      ),
    );
    expect(outcomes).toEqual([
      'unsealed',
      'PolicySigned: SIGNATURE (parameter 5)',
      'PolicySigned: SIGNATURE (parameter 5)',
      'PolicySigned: SIGNATURE (parameter 5)',
      'TPM_STRUCTURE_INVALID',
      'TPM_ARGUMENT_INVALID',
      'TPM_ARGUMENT_INVALID',
    ]);
  });
});

describe('a policy that an authority may change (PolicyAuthorize)', () => {
  const BEFORE: PolicyAssertion = { type: 'command-code', code: Unseal.code };
  const AFTER: PolicyAssertion = { type: 'locality', locality: 1 };

  it.each([
    ['SHA-256', ALG.sha256, 'sha256'],
    ['SHA-384', ALG.sha384, 'sha384'],
  ] as const)(
    'is satisfied by any policy it approves, by a key named by %s',
    async (_name, nameAlg, hash) => {
      const key = newKey(nameAlg);
      const authorize: PolicyAssertion = { type: 'authorize', name: key.name, policyRef: REF };
      const approvals = [BEFORE, AFTER].map((assertion) => {
        const approvedPolicy = policyDigest([assertion]);
        return { approvedPolicy, signature: key.sign(concatBytes(approvedPolicy, REF), hash) };
      });
      const means = { authorities: [{ publicArea: key.publicArea, policyRef: REF, approvals }] };
      await software.tpm.exclusive(async (io) => {
        expect(policyDigest([BEFORE, authorize])).toEqual(policyDigest([AFTER, authorize]));
        expect(await unsealedBy(io, [BEFORE, authorize], means)).toEqual(['unsealed']);
        expect(await unsealedBy(io, [AFTER, authorize], means)).toEqual(['unsealed']);
      });
    },
  );

  it('is not by one it did not approve, by a forged approval, or by one for another purpose', async () => {
    const key = newKey();
    const authorize: PolicyAssertion = { type: 'authorize', name: key.name, policyRef: REF };
    const approvedPolicy = policyDigest([BEFORE]);
    const by = (policy: Uint8Array, signature: Uint8Array, policyRef = REF): PolicyMeans => {
      const approvals = [{ approvedPolicy: policy, signature }];
      return { authorities: [{ publicArea: key.publicArea, policyRef, approvals }] };
    };
    const other = policyDigest([AFTER]);
    const outcomes = await software.tpm.exclusive((io) =>
      unsealedBy(
        io,
        [BEFORE, authorize],
        by(other, key.sign(concatBytes(other, REF))),
        by(approvedPolicy, key.sign(concatBytes(other, REF))),
        by(approvedPolicy, newKey().sign(concatBytes(approvedPolicy, REF))),
        by(approvedPolicy, key.sign(approvedPolicy)),
        by(approvedPolicy, key.sign(approvedPolicy), NONE),
        {},
      ),
    );
    expect(outcomes).toEqual([
      'TPM_POLICY_REFUSED',
      'VerifySignature: SIGNATURE (parameter 2)',
      'VerifySignature: SIGNATURE (parameter 2)',
      'VerifySignature: SIGNATURE (parameter 2)',
      'TPM_ARGUMENT_INVALID',
      'TPM_ARGUMENT_INVALID',
    ]);
  });
});

describe('a policy over an NV index', () => {
  const { ownerWrite, ownerRead, authRead, authWrite } = NV_ATTRIBUTE;

  async function withIndex<T>(
    data: Uint8Array,
    attributes: number,
    use: (io: TpmIo, name: Uint8Array) => Promise<T>,
  ): Promise<T> {
    return await software.tpm.exclusive(async (io) => {
      const publicInfo = { nvIndex: INDEX, nameAlg: ALG.sha256, attributes, authPolicy: NONE };
      await run(io, NV_DefineSpace, {
        handles: { authHandle: HANDLE.owner },
        parameters: { auth: PASSWORD, publicInfo: { ...publicInfo, dataSize: data.length } },
      });
      try {
        await nvWrite(io, INDEX, data, attributes & authWrite ? { auth: { password: PASSWORD } } : {});
        return await use(io, (await nvReadPublic(io, INDEX)).name);
      } finally {
        await run(io, NV_UndefineSpace, { handles: { authHandle: HANDLE.owner, nvIndex: INDEX } });
      }
    });
  }

  it('holds until its contents change (PolicyNV)', async () => {
    const version = (value: number) => new ByteWriter().u64(BigInt(value)).toBytes();
    const means = { indexes: [{ index: INDEX }] };
    const outcomes = await withIndex(version(3), ownerRead | ownerWrite, (io, name) => {
      const atMost = { type: 'nv', name, operandB: version(3), operation: OPERATION.unsignedLe } as const;
      const after = (value: number) => async () => {
        await nvWrite(io, INDEX, version(value));
        return means;
      };
      return unsealedBy(io, [atMost], means, after(4), after(2), after(2 ** 40), {});
    });
    const refused = 'PolicyNV: POLICY';
    expect(outcomes).toEqual(['unsealed', refused, 'unsealed', refused, 'TPM_ARGUMENT_INVALID']);
  });

  it('wants the password of an index that is read by its own, and no other index (PolicyNV)', async () => {
    const data = fromUtf8('abcdefgh');
    const by = (password: Uint8Array): PolicyMeans => ({ indexes: [{ index: INDEX, auth: { password } }] });
    const attributes = authRead | authWrite | NV_ATTRIBUTE.noDa;
    const outcomes = await withIndex(data, attributes, (io, name) => {
      const part = {
        type: 'nv',
        name,
        operandB: fromUtf8('cd'),
        offset: 2,
        operation: OPERATION.eq,
      } as const;
      return unsealedBy(io, [part], by(PASSWORD), by(fromUtf8('another')), {});
    });
    expect(outcomes).toEqual(['unsealed', 'PolicyNV: BAD_AUTH (session 1)', 'TPM_ARGUMENT_INVALID']);
    // The same handle, but not the same index: its name says so.
    const renamed = await withIndex(data, ownerRead | ownerWrite, (io) => {
      const name = concatBytes(Uint8Array.of(0, ALG.sha256), new Uint8Array(32));
      return unsealedBy(io, [{ type: 'nv', name, operandB: data, operation: OPERATION.eq }], by(PASSWORD));
    });
    expect(renamed).toEqual(['TPM_ARGUMENT_INVALID']);
  });

  it('is the one that the index holds, and no other (PolicyAuthorizeNV)', async () => {
    const unsealOnly: PolicyAssertion = { type: 'command-code', code: Unseal.code };
    const stored = (digest: Uint8Array) => concatBytes(Uint8Array.of(0, ALG.sha256), digest);
    const approved = stored(policyDigest([unsealOnly]));
    const means = { indexes: [{ index: INDEX }] };
    const outcomes = await withIndex(approved, ownerRead | ownerWrite, (io, name) => {
      const other = async () => {
        await nvWrite(io, INDEX, stored(policyDigest([{ type: 'auth-value' }])));
        return means;
      };
      return unsealedBy(io, [unsealOnly, { type: 'authorize-nv', name }], means, other, {});
    });
    expect(outcomes).toEqual(['unsealed', 'PolicyAuthorizeNV: VALUE', 'TPM_ARGUMENT_INVALID']);
  });

  it('is satisfied by its password (PolicySecret)', async () => {
    const by = (password: Uint8Array): PolicyMeans => ({ secrets: [{ entity: INDEX, auth: { password } }] });
    const attributes = ownerRead | ownerWrite | authRead | NV_ATTRIBUTE.noDa;
    const outcomes = await withIndex(REF, attributes, (io, name) =>
      unsealedBy(io, [{ type: 'secret', name }], by(PASSWORD), by(REF), {}),
    );
    expect(outcomes).toEqual(['unsealed', 'PolicySecret: BAD_AUTH (session 1)', 'TPM_ARGUMENT_INVALID']);
  });
});

describe('what satisfies a policy', () => {
  it('leaves nothing in the TPM, whether it does or not', async () => {
    expect(await software.tpm.listHandles('transient')).toEqual([]);
    // The one that hides secrets.
    expect(await software.tpm.listHandles('loadedSession')).toHaveLength(1);
  });
});
