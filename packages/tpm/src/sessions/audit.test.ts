import { createPublicKey, verify } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HANDLE } from '../command.ts';
import { GetRandom, GetSessionAuditDigest } from '../commands/index.ts';
import { run } from '../commands/run.ts';
import { type TpmKey, withPrimary } from '../object.ts';
import { parseAttest } from '../structures/attest.ts';
import { parsePublicArea } from '../structures/public-area.ts';
import { toSpki } from '../structures/public-key.ts';
import { type AnySignature, encodeSignature, parseSignature } from '../structures/signature.ts';
import { startTestTpm, type TestTpm } from '../testing.ts';
import { type Session, withSession } from './session.ts';
import { AK, SECRET } from './testing.ts';

let software: TestTpm;
beforeAll(async () => {
  software = await startTestTpm();
});
afterAll(() => software.stop());

describe('an audit session', () => {
  it('has the digest that the TPM attests, over all audited commands since its reset', async () => {
    await software.tpm.exclusive((io) =>
      withPrimary(io, AK, (ak) =>
        withSession(io, {}, async (session) => {
          for (const use of [{}, {}, { auditReset: true }, {}]) {
            await run(io, GetRandom, {
              parameters: { bytesRequested: 8 },
              sessions: [{ session, audit: true, ...use }],
            });
          }
          const { auditInfo, signature } = await run(io, GetSessionAuditDigest, {
            handles: { privacyAdminHandle: HANDLE.endorsement, signHandle: ak, sessionHandle: session },
            parameters: { qualifyingData: SECRET },
          });
          expect(isSignedBy(ak, auditInfo, signature)).toBe(true);
          expect(parseAttest(auditInfo)).toMatchObject({
            type: 'session-audit',
            sessionDigest: session.auditDigest,
          });
        }),
      ),
    );
  });

  it('that demands to be exclusive is refused after another command was audited', async () => {
    await software.tpm.exclusive((io) =>
      withSession(io, {}, (first) =>
        withSession(io, {}, async (second) => {
          const audited = (session: Session, isExclusive: boolean) =>
            run(io, GetRandom, {
              parameters: { bytesRequested: 8 },
              sessions: [{ session, audit: true, auditExclusive: isExclusive }],
            });
          await audited(first, false);
          await audited(first, true);
          await audited(second, false);
          await expect(audited(first, true)).rejects.toMatchObject({ data: { name: 'EXCLUSIVE' } });
          await audited(first, false);
        }),
      ),
    );
  });
});

function isSignedBy(key: TpmKey, attest: Uint8Array, signature: AnySignature): boolean {
  const parsed = parseSignature(encodeSignature(signature));
  if (parsed.scheme !== 'ecdsa') return false;
  const spki = Buffer.from(toSpki(parsePublicArea(key.publicArea)));
  const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  return verify('sha256', attest, { key: publicKey, dsaEncoding: 'ieee-p1363' }, parsed.rs);
}
