import { bytesEqual, concatBytes, toHex } from '@nemea/core';
import { type Authorization, HANDLE, type HandleRef } from '../command.ts';
import { LoadExternal } from '../commands/object.ts';
import { PolicyAuthorize, PolicyGetDigest, PolicySigned } from '../commands/policy.ts';
import { run } from '../commands/run.ts';
import { VerifySignature } from '../commands/sign.ts';
import { TpmError } from '../errors.ts';
import type { TpmIo } from '../executor.ts';
import { type IndexHandles, type NvAccess, nvHandles } from '../nv.ts';
import { flush, released } from '../object.ts';
import { decode } from '../structures/codec.ts';
import { approvalDigest } from '../structures/policy-digest.ts';
import { nameOf, parseAnyPublicArea } from '../structures/public-area.ts';
import { tpmtAnySignature } from '../structures/signature.ts';
import { nameOfHandle } from './names.ts';
import type { Session } from './session.ts';

/** What satisfies the assertions that a session alone cannot. Each is found by the name that the policy gives it. */
export interface PolicyMeans {
  /** For `secret`: whose password it is, and the password. A hierarchy that is not here has the empty one. */
  readonly secrets?: readonly { readonly entity: HandleRef; readonly auth: Authorization }[];
  /** For `signed`. */
  readonly signers?: readonly PolicySigner[];
  /** For `authorize`. */
  readonly authorities?: readonly PolicyAuthority[];
  /** For `nv` and `authorize-nv`: indexes by their handles, and how they are read. */
  readonly indexes?: readonly ({ readonly index: number } & NvAccess)[];
}

/** Who agrees to each use of an object. */
export interface PolicySigner {
  /** TPMT_PUBLIC of the signing key. */
  readonly publicArea: Uint8Array;
  /**
   * TPMT_SIGNATURE over the hash of `message`, which holds for this session alone and without end (TPM 2.0 Part 3, 23.3).
   * The TPM waits meanwhile: its `Tpm` takes no call.
   */
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** Who approves policies, so that a key outlives the update of what they measure (TPM2_PolicyAuthorize). */
export interface PolicyAuthority {
  /** TPMT_PUBLIC of a signing key whose private half is with whoever releases the software, not on this machine. */
  readonly publicArea: Uint8Array;
  /** Names the purpose, so that an approval for one is none for another. */
  readonly policyRef: Uint8Array;
  /** Approvals known by now; the one for the present policy is looked up. */
  readonly approvals: readonly PolicyApproval[];
}

/** A policy, and a key's signature that approves it. */
export interface PolicyApproval {
  /** The digest of a policy: for PCR values `pcrPolicyDigest`. */
  readonly approvedPolicy: Uint8Array;
  /** TPMT_SIGNATURE by the authority over `approvalDigest`. */
  readonly signature: Uint8Array;
}

const EMPTY = new Uint8Array(0);
const HANDLE_BYTES = 4;
// Seconds: none.
const NO_EXPIRATION = new Uint8Array(4);

/** TPM2_PolicySigned: the TPM checks a signature over this session's nonce. */
export async function assertSigned(
  io: TpmIo,
  session: Session,
  { name, policyRef = EMPTY }: { readonly name: Uint8Array; readonly policyRef?: Uint8Array },
  { signers = [] }: PolicyMeans,
): Promise<void> {
  const signer = signers.find(({ publicArea }) => bytesEqual(nameOf(publicArea), name));
  if (signer === undefined) throw nobody('signed', name);
  const { nonceTpm: nonceTPM } = session;
  const auth = decode(
    'signature',
    tpmtAnySignature,
    await signer.sign(concatBytes(nonceTPM, NO_EXPIRATION, policyRef)),
  );
  await withExternal(io, signer.publicArea, HANDLE.null, (authObject) =>
    run(io, PolicySigned, {
      handles: { authObject, policySession: session },
      parameters: { nonceTPM, policyRef, auth },
    }),
  );
}

/** TPM2_PolicyAuthorize of the policy that the session has by now. */
export async function assertAuthorized(
  io: TpmIo,
  session: Session,
  { name, policyRef = EMPTY }: { readonly name: Uint8Array; readonly policyRef?: Uint8Array },
  { authorities = [] }: PolicyMeans,
): Promise<void> {
  const authority = authorities.find(
    (it) => bytesEqual(nameOf(it.publicArea), name) && bytesEqual(it.policyRef, policyRef),
  );
  if (authority === undefined) throw nobody('authorize', name);
  await approve(io, session, authority);
}

/**
 * The TPM checks the approval's signature itself, and notes it in a ticket that PolicyAuthorize demands. Throws
 * `TPM_POLICY_REFUSED` where the policy of now has no approval.
 */
export async function approve(
  io: TpmIo,
  session: Session,
  { publicArea, policyRef, approvals }: PolicyAuthority,
): Promise<void> {
  const handles = { policySession: session };
  const { policyDigest } = await run(io, PolicyGetDigest, { handles });
  const approval = approvals.find(({ approvedPolicy }) => bytesEqual(approvedPolicy, policyDigest));
  if (approval === undefined) throw new TpmError('TPM_POLICY_REFUSED', 'nobody approved the policy of now');
  const { approvedPolicy } = approval;
  const digest = approvalDigest(approvedPolicy, policyRef, parseAnyPublicArea(publicArea).nameAlg);
  const signature = decode('signature', tpmtAnySignature, approval.signature);
  // Tickets of the null hierarchy are empty.
  const { validation } = await withExternal(io, publicArea, HANDLE.owner, (keyHandle) =>
    run(io, VerifySignature, { handles: { keyHandle }, parameters: { digest, signature } }),
  );
  const keySign = nameOf(publicArea);
  await run(io, PolicyAuthorize, {
    handles,
    parameters: { approvedPolicy, policyRef, keySign, checkTicket: validation },
  });
}

/** Holds a key of which only the public part is known, for the length of `use`. */
async function withExternal<T>(
  io: TpmIo,
  publicArea: Uint8Array,
  hierarchy: number,
  use: (handle: number) => Promise<T>,
): Promise<T> {
  const { objectHandle } = await run(io, LoadExternal, {
    parameters: { inPrivate: undefined, inPublic: parseAnyPublicArea(publicArea), hierarchy },
  });
  return await released(
    () => use(objectHandle),
    () => flush(io, objectHandle),
  );
}

/** Whose password it is, and the password. */
export async function secretOf(
  io: TpmIo,
  name: Uint8Array,
  { secrets = [] }: PolicyMeans,
): Promise<{ entity: HandleRef; auth: Authorization }> {
  for (const secret of secrets) if (bytesEqual(await nameOfHandle(io, secret.entity), name)) return secret;
  if (name.length !== HANDLE_BYTES) throw nobody('secret', name);
  // A hierarchy is named by its handle.
  return { entity: new DataView(name.buffer, name.byteOffset).getUint32(0), auth: 'password' };
}

/** The handles of an index, and what authorises to read it. */
export async function indexOf(
  io: TpmIo,
  { type, name }: { readonly type: string; readonly name: Uint8Array },
  { indexes = [] }: PolicyMeans,
): Promise<{ handles: IndexHandles; auth: readonly Authorization[] }> {
  for (const { index, auth = 'password' } of indexes) {
    if (!bytesEqual(await nameOfHandle(io, index), name)) continue;
    return { handles: await nvHandles(io, index), auth: [auth] };
  }
  throw nobody(type, name);
}

function nobody(type: string, name: Uint8Array): TpmError {
  return new TpmError('TPM_ARGUMENT_INVALID', `policy: no means of ${type} by ${toHex(name)}`);
}
