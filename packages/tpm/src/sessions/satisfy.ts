import {
  PolicyAuthValue,
  PolicyCommandCode,
  PolicyCounterTimer,
  PolicyCpHash,
  PolicyDuplicationSelect,
  PolicyLocality,
  PolicyNameHash,
  PolicyNvWritten,
  PolicyOR,
  PolicyPassword,
  PolicyPCR,
  PolicyPhysicalPresence,
  PolicySecret,
  PolicyTemplate,
} from '../commands/policy.ts';
import { run } from '../commands/run.ts';
import { TpmError } from '../errors.ts';
import type { TpmIo } from '../executor.ts';
import { digestOf } from '../structures/algorithms.ts';
import type { PolicyAssertion } from '../structures/policy-digest.ts';
import type { Session } from './session.ts';

const HANDLE_BYTES = 4;
const EMPTY = new Uint8Array(0);

/**
 * Asserts a policy in a session, in order: the commands for which nobody else is needed. `secret` is a hierarchy's, with
 * an empty password. Signed and authorized policies, and those over NV contents, want a key or an index: run
 * `PolicySigned`, `PolicyAuthorize`, `PolicyNV` yourself between two calls of this. Throws `TPM_ARGUMENT_INVALID`.
 */
export async function satisfyPolicy(
  io: TpmIo,
  session: Session,
  assertions: readonly PolicyAssertion[],
): Promise<void> {
  for (const assertion of assertions) await assertOne(io, session, assertion);
}

async function assertOne(io: TpmIo, session: Session, assertion: PolicyAssertion): Promise<unknown> {
  const handles = { policySession: session };
  switch (assertion.type) {
    case 'pcr': {
      const parameters = { pcrDigest: assertion.pcrDigest, pcrs: assertion.selections };
      return await run(io, PolicyPCR, { handles, parameters });
    }
    case 'secret': {
      const { policyRef = EMPTY } = assertion;
      const authHandle = hierarchyOf(assertion.name);
      return await run(io, PolicySecret, { handles: { authHandle, ...handles }, parameters: { policyRef } });
    }
    case 'or':
      return await run(io, PolicyOR, { handles, parameters: { pHashList: assertion.digests } });
    case 'auth-value':
      return await run(io, PolicyAuthValue, { handles });
    case 'password':
      return await run(io, PolicyPassword, { handles });
    case 'command-code':
      return await run(io, PolicyCommandCode, { handles, parameters: { code: assertion.code } });
    case 'counter-timer': {
      const { operandB, offset = 0, operation } = assertion;
      return await run(io, PolicyCounterTimer, { handles, parameters: { operandB, offset, operation } });
    }
    case 'name-hash': {
      const nameHash = digestOf(session.hashAlg, ...assertion.names);
      return await run(io, PolicyNameHash, { handles, parameters: { nameHash } });
    }
    case 'cp-hash':
      return await run(io, PolicyCpHash, { handles, parameters: { cpHashA: assertion.cpHash } });
    case 'template':
      return await run(io, PolicyTemplate, { handles, parameters: { templateHash: assertion.templateHash } });
    case 'locality':
      return await run(io, PolicyLocality, { handles, parameters: { locality: assertion.locality } });
    case 'nv-written':
      return await run(io, PolicyNvWritten, { handles, parameters: { writtenSet: assertion.written } });
    case 'physical-presence':
      return await run(io, PolicyPhysicalPresence, { handles });
    case 'duplication-select': {
      const { objectName, newParentName } = assertion;
      const parameters = {
        objectName: objectName ?? EMPTY,
        newParentName,
        includeObject: objectName !== undefined,
      };
      return await run(io, PolicyDuplicationSelect, { handles, parameters });
    }
    default:
      // signed, authorize, authorize-nv, nv.
      throw new TpmError('TPM_ARGUMENT_INVALID', `policy: nobody here can satisfy ${assertion.type}`);
  }
}

/** A hierarchy is named by its handle. */
function hierarchyOf(name: Uint8Array): number {
  if (name.length !== HANDLE_BYTES)
    throw new TpmError(
      'TPM_ARGUMENT_INVALID',
      `policy secret: got a name of ${name.length} bytes, want a hierarchy`,
    );
  return new DataView(name.buffer, name.byteOffset).getUint32(0);
}
