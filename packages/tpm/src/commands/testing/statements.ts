import { fromHex, fromUtf8, sha256 } from '@nemea/core';
import { describe, expect, it } from 'vitest';
import { HANDLE } from '../../command.ts';
import { startSession } from '../../sessions/session.ts';
import { ALG, CURVE, digestOf, OBJECT_ATTRIBUTE } from '../../structures/algorithms.ts';
import { parseAttest } from '../../structures/attest.ts';
import { encode } from '../../structures/codec.ts';
import { tpmsCreationData } from '../../structures/object.ts';
import { pcrDigest } from '../../structures/pcr-selection.ts';
import { nameOf } from '../../structures/public-area.ts';
import {
  Certify,
  CertifyCreation,
  CertifyX509,
  CreatePrimary,
  FlushContext,
  GetCommandAuditDigest,
  GetRandom,
  GetSessionAuditDigest,
  GetTime,
  PCR_Read,
  Quote,
  ReadClock,
  SetCommandCodeAuditStatus,
} from '../index.ts';
import { AREA, type Bench, EMPTY, ENDORSEMENT } from './bench.ts';

const NONCE = sha256(fromUtf8('nonce'));
const PCR_BYTES = 32;

export function statements(open: () => Bench): void {
  const withAk = async <T>(use: (ak: { handle: number }) => Promise<T>): Promise<T> => {
    const { run, primary } = open();
    const ak = await primary(AREA.ak, ENDORSEMENT);
    const result = await use(ak);
    await run(FlushContext, { parameters: { flushHandle: ak.handle } });
    return result;
  };

  describe('attestations', () => {
    it('quotes several banks in one statement', async () => {
      const { run } = open();
      const PCRselect = [
        { hashAlg: ALG.sha1, pcrs: [0] },
        { hashAlg: ALG.sha256, pcrs: [0, 16] },
      ];
      const { quoted } = await withAk((ak) =>
        run(Quote, { handles: { signHandle: ak }, parameters: { qualifyingData: NONCE, PCRselect } }),
      );
      const attest = parseAttest(quoted);
      const { pcrValues } = await run(PCR_Read, { parameters: { pcrSelectionIn: PCRselect } });
      expect(attest).toMatchObject({
        type: 'quote',
        extraData: NONCE,
        pcrSelections: PCRselect,
        pcrDigest: pcrDigest(pcrValues),
      });
    });

    it('refuses to quote by a key that it does not hold', async () => {
      const { run } = open();
      await expect(
        run(Quote, { handles: { signHandle: 0x80fffff0 }, parameters: { PCRselect: [] } }),
      ).rejects.toMatchObject({
        data: { command: 'Quote', accused: { kind: 'handle', name: 'signHandle' } },
      });
    });

    it('says before sending which parameter is too long', async () => {
      const { run } = open();
      const long = { PCRselect: [], qualifyingData: new Uint8Array(67) };
      await expect(run(Quote, { handles: { signHandle: 1 }, parameters: long })).rejects.toThrow(
        'Quote, qualifyingData: data: got 67 bytes, want at most 66',
      );
    });

    it('certifies a key and its creation', async () => {
      const { run } = open();
      const made = await run(CreatePrimary, {
        handles: { primaryHandle: HANDLE.owner },
        parameters: {
          inPublic: AREA.srk,
          outsideInfo: NONCE,
          creationPCR: [{ hashAlg: ALG.sha256, pcrs: [7] }],
        },
      });
      const { objectHandle, creationHash, creationTicket, creationData } = made;
      expect(creationHash).toEqual(sha256(encode(tpmsCreationData, creationData)));
      expect(creationData).toMatchObject({ outsideInfo: NONCE, parentNameAlg: ALG.null });
      expect(creationData.pcrDigest).toEqual(sha256(new Uint8Array(PCR_BYTES)));
      await withAk(async (ak) => {
        const handles = { objectHandle, signHandle: ak };
        const key = await run(Certify, { handles, parameters: { qualifyingData: NONCE } });
        expect(parseAttest(key.certifyInfo)).toMatchObject({ type: 'certify', name: made.name });
        const parameters = { qualifyingData: NONCE, creationHash, creationTicket };
        const birth = await run(CertifyCreation, { handles, parameters });
        expect(parseAttest(birth.certifyInfo)).toMatchObject({
          type: 'creation',
          objectName: made.name,
          creationHash,
        });
        const forged = { ...parameters, creationHash: NONCE };
        await expect(run(CertifyCreation, { handles, parameters: forged })).rejects.toMatchObject({
          data: { name: 'TICKET (parameter 4)', accused: { name: 'creationTicket' } },
        });
      });
      await run(FlushContext, { parameters: { flushHandle: objectHandle } });
    });

    it('attests its time', async () => {
      const { run } = open();
      const { currentTime } = await run(ReadClock);
      const { timeInfo } = await withAk((ak) =>
        run(GetTime, {
          handles: { privacyAdminHandle: HANDLE.endorsement, signHandle: ak },
          parameters: { qualifyingData: NONCE },
        }),
      );
      const attest = parseAttest(timeInfo);
      if (attest.type !== 'get-time') throw new Error('want a time');
      expect(attest.time).toBeGreaterThanOrEqual(currentTime.time);
      expect(attest.clockInfo.resetCount).toBe(currentTime.clockInfo.resetCount);
    });

    it('attests what a session has audited', async () => {
      const { run, tpm } = open();
      const session = await tpm.exclusive((io) => startSession(io));
      await run(GetRandom, {
        parameters: { bytesRequested: 8 },
        sessions: [{ session, audit: true }],
        inClear: true,
      });
      const { auditInfo } = await withAk((ak) =>
        run(GetSessionAuditDigest, {
          handles: { privacyAdminHandle: HANDLE.endorsement, signHandle: ak, sessionHandle: session },
          parameters: { qualifyingData: NONCE },
        }),
      );
      expect(parseAttest(auditInfo)).toMatchObject({
        type: 'session-audit',
        sessionDigest: session.auditDigest,
      });
      await session.close();
    });

    it('attests the commands that it was told to audit', async () => {
      const { run } = open();
      const audit = (setList: number[], clearList: number[]) =>
        run(SetCommandCodeAuditStatus, {
          handles: { auth: HANDLE.owner },
          parameters: { auditAlg: ALG.null, setList, clearList },
        });
      await audit([GetRandom.code], []);
      await run(GetRandom, { parameters: { bytesRequested: 8 }, inClear: true });
      await withAk(async (ak) => {
        const handles = { privacyHandle: HANDLE.endorsement, signHandle: ak };
        const { auditInfo } = await run(GetCommandAuditDigest, { handles });
        const attest = parseAttest(auditInfo);
        if (attest.type !== 'command-audit') throw new Error('want a command audit');
        // TPM2_SetCommandCodeAuditStatus itself is always audited.
        const commands = fromHex('00000140' + '0000017b');
        expect(attest.commandDigest).toEqual(digestOf(attest.digestAlg, commands));
        expect(attest.auditDigest).toHaveLength(attest.commandDigest.length);
      });
      await audit([], [GetRandom.code]);
    });

    it('makes an X.509 certificate of another key', async () => {
      const { run, primary } = open();
      const { fixedTpm, fixedParent, sensitiveDataOrigin, userWithAuth, sign, x509Sign } = OBJECT_ATTRIBUTE;
      const made = fixedTpm | fixedParent | sensitiveDataOrigin | userWithAuth | sign;
      const signer = {
        type: 'ecc',
        nameAlg: ALG.sha256,
        attributes: made | x509Sign,
        authPolicy: EMPTY,
        symmetric: undefined,
        scheme: { scheme: 'ecdsa', hashAlg: ALG.sha256 },
        curve: CURVE.p256,
        kdf: undefined,
        x: EMPTY,
        y: EMPTY,
      } as const;
      const issuer = await primary(signer);
      const subject = await primary({ ...signer, attributes: made });
      const { addedToCertificate, tbsDigest } = await run(CertifyX509, {
        handles: { objectHandle: subject, signHandle: issuer },
        parameters: { partialCertificate: PARTIAL_CERTIFICATE },
      });
      expect(addedToCertificate[0]).toBe(0x30);
      expect(tbsDigest).toHaveLength(PCR_BYTES);
      const broken = run(CertifyX509, {
        handles: { objectHandle: subject, signHandle: issuer },
        parameters: { partialCertificate: PARTIAL_CERTIFICATE.slice(1) },
      });
      await expect(broken).rejects.toMatchObject({ data: { accused: { name: 'partialCertificate' } } });
      expect(nameOf(subject.publicArea)).toEqual(subject.name);
      for (const { handle } of [issuer, subject])
        await run(FlushContext, { parameters: { flushHandle: handle } });
    });
  });
}

const COMMON_NAME = '300c310a300806035504030c0161';
// Issuer and subject CN=a, validity, and the critical extension keyUsage: digitalSignature.
const PARTIAL_CERTIFICATE = der(
  `${COMMON_NAME}301e170d3234303130313030303030305a170d3334303130313030303030305a${COMMON_NAME}a3123010300e0603551d0f0101ff040403020780`,
);

function der(contents: string): Uint8Array {
  return fromHex(`30${(contents.length / 2).toString(16).padStart(2, '0')}${contents}`);
}
