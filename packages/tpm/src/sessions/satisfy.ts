import { assertNever } from '@nemea/core';
import {
  PolicyAuthorizeNV,
  PolicyAuthValue,
  PolicyCommandCode,
  PolicyCounterTimer,
  PolicyCpHash,
  PolicyDuplicationSelect,
  PolicyLocality,
  PolicyNameHash,
  PolicyNV,
  PolicyNvWritten,
  PolicyOR,
  PolicyPassword,
  PolicyPCR,
  PolicyPhysicalPresence,
  PolicySecret,
  PolicyTemplate,
} from '../commands/policy.ts';
import { run } from '../commands/run.ts';
import type { TpmIo } from '../executor.ts';
import { digestOf } from '../structures/algorithms.ts';
import type { PolicyAssertion } from '../structures/policy-digest.ts';
import { assertAuthorized, assertSigned, indexOf, type PolicyMeans, secretOf } from './policy-means.ts';
import type { Session } from './session.ts';

const EMPTY = new Uint8Array(0);

/**
 * Asserts a policy in a session, in order. What needs more than the session takes it from `means`: passwords, signatures,
 * approvals, NV indexes. Throws `TPM_ARGUMENT_INVALID` where they lack what the policy names, `TPM_POLICY_REFUSED` where
 * nobody approved the policy of now, and `TPM_RETURN_CODE` where the TPM finds that an assertion does not hold.
 */
export async function satisfyPolicy(
  io: TpmIo,
  session: Session,
  assertions: readonly PolicyAssertion[],
  means: PolicyMeans = {},
): Promise<void> {
  for (const assertion of assertions) await assertOne(io, session, assertion, means);
}

async function assertOne(
  io: TpmIo,
  session: Session,
  assertion: PolicyAssertion,
  means: PolicyMeans,
): Promise<unknown> {
  const handles = { policySession: session };
  switch (assertion.type) {
    case 'pcr': {
      const parameters = { pcrDigest: assertion.pcrDigest, pcrs: assertion.selections };
      return await run(io, PolicyPCR, { handles, parameters });
    }
    case 'secret': {
      const { entity, auth } = await secretOf(io, assertion.name, means);
      const { policyRef = EMPTY } = assertion;
      return await run(io, PolicySecret, {
        handles: { authHandle: entity, ...handles },
        parameters: { policyRef },
        auth: [auth],
      });
    }
    case 'signed':
      return await assertSigned(io, session, assertion, means);
    case 'authorize':
      return await assertAuthorized(io, session, assertion, means);
    case 'authorize-nv': {
      const index = await indexOf(io, assertion, means);
      return await run(io, PolicyAuthorizeNV, {
        handles: { ...index.handles, ...handles },
        auth: index.auth,
      });
    }
    case 'nv': {
      const index = await indexOf(io, assertion, means);
      const { operandB, offset = 0, operation } = assertion;
      return await run(io, PolicyNV, {
        handles: { ...index.handles, ...handles },
        parameters: { operandB, offset, operation },
        auth: index.auth,
      });
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
      return assertNever(assertion);
  }
}
