import { createPublicKey, verify } from 'node:crypto';
import { bytesEqual, fromHex, fromUtf8, sha256, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Attestation } from './attestation.ts';
import { openUnixChannel } from './channel/unix.ts';
import { Quote } from './commands/attestation.ts';
import { PCR_Event, PCR_Extend, PCR_Read } from './commands/pcr.ts';
import type { TpmIo } from './executor.ts';
import { Tpm, type TpmKey } from './index.ts';
import { withLoaded, withPrimary } from './object.ts';
import { pcrExtend } from './pcr.ts';
import { parseSealedBlob } from './sealed-blob.ts';
import { unseal } from './sealing.ts';
import { policyPcr, withPolicySession } from './sessions/policy.ts';
import { ALG, hashBytes } from './structures/algorithms.ts';
import { parseAttest } from './structures/attest.ts';
import { pcrDigest } from './structures/pcr-selection.ts';
import { nameOf, parsePublicArea } from './structures/public-area.ts';
import { toSpki } from './structures/public-key.ts';
import { parseSignature } from './structures/signature.ts';
import { TEMPLATES } from './structures/templates.ts';
import { startTestTpm, type TestTpm } from './testing.ts';

const AK = { hierarchy: 'endorsement', template: TEMPLATES.ak } as const;
const NONCE = sha256(fromUtf8('nonce'));
const SECRET = fromUtf8('a secret of some length');

let software: TestTpm;
let tpm: Tpm;
let ak: TpmKey;
beforeAll(async () => {
  software = await startTestTpm();
  tpm = software.tpm;
  ak = await tpm.createPrimary(AK);
});
afterAll(() => software.stop());

function isSigned({ attest, signature }: Attestation): boolean {
  const parsed = parseSignature(signature);
  if (parsed.scheme !== 'ecdsa') return false;
  const spki = Buffer.from(toSpki(parsePublicArea(ak.publicArea)));
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  return verify('sha256', attest, { key, dsaEncoding: 'ieee-p1363' }, parsed.rs);
}

describe('keys', () => {
  it('gives the same attestation key again from the same template', async () => {
    const again = await tpm.createPrimary(AK);
    expect(toHex(again.publicArea)).toBe(toHex(ak.publicArea));
    await tpm.flush(again.handle);
  });

  it('reads what is behind a handle', async () => {
    expect(ak).toMatchObject(await tpm.readPublic(ak.handle));
  });

  it('names the refusal for a handle that holds nothing', async () => {
    await expect(tpm.readPublic(0x80ffffff)).rejects.toMatchObject({
      code: 'TPM_RETURN_CODE',
      data: { command: 'ReadPublic' },
    });
  });

  it('holds the vrf key: this TPM has ECDAA', async () => {
    expect(await tpm.supportsEcdaa()).toBe(true);
    expect(await tpm.listAlgorithms()).toContain(ALG.ecdaa);
  });
});

describe('attestation', () => {
  it('signs a quote that states the nonce and the digest of the chosen PCRs', async () => {
    await tpm.pcrExtend(14, sha256(fromUtf8('release')));
    const quote = await tpm.quote(ak, { qualifyingData: NONCE, pcrs: [14, 0] });
    expect(isSigned(quote)).toBe(true);
    const attest = parseAttest(quote.attest);
    if (attest.type !== 'quote') throw new Error('want a quote');
    expect(toHex(attest.extraData)).toBe(toHex(NONCE));
    expect(attest.pcrSelections).toEqual([{ hashAlg: ALG.sha256, pcrs: [0, 14] }]);
    const values = (await tpm.pcrRead([0, 14])).map(({ value }) => value);
    expect(toHex(attest.pcrDigest)).toBe(toHex(pcrDigest(values)));
  });

  it('signs hundreds of quotes that node:crypto accepts, short r and s included', async () => {
    for (let i = 0; i < 300; i++) {
      expect(isSigned(await tpm.quote(ak, { qualifyingData: NONCE, pcrs: [0] }))).toBe(true);
    }
  });

  it('signs its time, which never runs back', async () => {
    const times: bigint[] = [];
    for (let i = 0; i < 3; i++) {
      const statement = await tpm.getTime(ak, NONCE);
      expect(isSigned(statement)).toBe(true);
      const attest = parseAttest(statement.attest);
      if (attest.type === 'get-time') times.push(attest.time);
    }
    expect(times).toHaveLength(3);
    expect(times).toEqual([...times].sort((a, b) => Number(a - b)));
  });

  it('certifies another key of the same TPM by its name', async () => {
    const vrf = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.vrf });
    const statement = await tpm.certify(vrf, ak, NONCE);
    await tpm.flush(vrf.handle);
    expect(isSigned(statement)).toBe(true);
    expect(parseAttest(statement.attest)).toMatchObject({ type: 'certify', name: nameOf(vrf.publicArea) });
  });

  it('takes 66 bytes of qualifying data and refuses 67 before sending', async () => {
    await tpm.quote(ak, { qualifyingData: new Uint8Array(66), pcrs: [0] });
    const request = { qualifyingData: new Uint8Array(67), pcrs: [0] };
    await expect(tpm.quote(ak, request)).rejects.toMatchObject({ code: 'TPM_ARGUMENT_INVALID' });
  });
});

describe('a quote of several banks', () => {
  const banks = [ALG.sha384, ALG.sha1, ALG.sha256, ALG.sha512].map((hashAlg) => ({
    hashAlg,
    pcrs: [16, 0, 9],
  }));

  it.each([
    ['ak', 'ecdsa'],
    ['akRsassa', 'rsassa'],
    ['akRsapss', 'rsapss'],
  ] as const)(
    'is signed by the template %s, over the values that pcrReadBanks reads',
    async (name, scheme) => {
      await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES[name] });
      const digests = banks.map(({ hashAlg }) => ({
        hashAlg,
        digest: new Uint8Array(hashBytes(hashAlg) ?? 0).fill(1),
      }));
      await tpm.pcrExtend(16, digests);
      const { attest, signature } = await tpm.quote(key, { qualifyingData: NONCE, pcrs: banks });
      expect(parseSignature(signature)).toMatchObject({ scheme, hashAlg: ALG.sha256 });
      const read = await tpm.pcrReadBanks(banks);
      expect(read.map(({ hashAlg }) => hashAlg)).toEqual(banks.map(({ hashAlg }) => hashAlg));
      const values = read.flatMap((bank) => bank.values.map(({ value }) => value));
      expect(read.map((bank) => bank.values.map(({ pcr }) => pcr))).toEqual(banks.map(() => [0, 9, 16]));
      const quote = parseAttest(attest);
      if (quote.type !== 'quote') throw new Error('want a quote');
      expect(toHex(quote.pcrDigest)).toBe(toHex(pcrDigest(values)));
      expect(new Set(values.map(toHex)).size).toBe(8);
    },
  );

  it('is read, bank by bank, more of them than one answer holds', async () => {
    const all = Array.from({ length: 24 }, (_, pcr) => pcr);
    const read = await tpm.pcrReadBanks([
      { hashAlg: ALG.sha512, pcrs: all },
      { hashAlg: ALG.sha1, pcrs: [3] },
      { hashAlg: ALG.sha512, pcrs: [2] },
      { hashAlg: ALG.sha256, pcrs: all },
    ]);
    expect(read.map(({ values }) => values.length)).toEqual([24, 1, 24]);
    expect(read[1]?.values[0]?.value).toHaveLength(20);
    expect(read[2]?.values).toEqual(await tpm.pcrRead(all));
    expect(await tpm.pcrReadBanks([])).toEqual([]);
  });

  it.each([
    [
      'a bank that the TPM does not keep',
      [{ hashAlg: ALG.sha3With256, pcrs: [0] }],
      'TPM_ALGORITHM_UNSUPPORTED',
    ],
    [
      'one behind others',
      [...banks.slice(0, 2), { hashAlg: ALG.sha3With256, pcrs: [0] }],
      'TPM_ALGORITHM_UNSUPPORTED',
    ],
    ['a bank of no hash', [{ hashAlg: ALG.rsa, pcrs: [0] }], 'TPM_ALGORITHM_UNSUPPORTED'],
    ['a PCR that there is not', [{ hashAlg: ALG.sha1, pcrs: [24] }], 'TPM_ARGUMENT_INVALID'],
  ])('is refused: %s', async (_what, selection, code) => {
    await expect(tpm.pcrReadBanks(selection)).rejects.toMatchObject({ code });
  });
});

describe('callers without types', () => {
  const text = JSON.parse('"thirty-two characters are no hash"');

  it('are refused where a string would be taken for zeros', async () => {
    const uses: Record<string, () => Promise<unknown>> = {
      quote: () => tpm.quote(ak, { pcrs: [0], qualifyingData: text }),
      getTime: () => tpm.getTime(ak, text),
      certify: () => tpm.certify(ak, ak, text),
      seal: () => tpm.seal(text),
      'seal a buffer': () => tpm.seal(JSON.parse('[1, 2]')),
      unseal: () => tpm.unseal(text),
      nvWrite: () => tpm.nvWrite(0x01500042, text),
      pcrExtend: () => tpm.pcrExtend(16, text),
      'a password': () => tpm.provision({ ownerAuth: text }),
      'an old password': () => tpm.nvDefine({ index: 0x01500042, dataSize: 1 }, { auth: { password: text } }),
    };
    await tpm.nvDefine({ index: 0x01500042, dataSize: 40 });
    for (const [name, use] of Object.entries(uses)) await expect(use(), name).rejects.toThrow();
    await tpm.nvUndefine(0x01500042);
    expect((await tpm.inspect()).passwordsSet.owner).toBe(false);
  });

  it('are refused where the nonce goes by another name', async () => {
    const misspelt = JSON.parse('{ "pcrs": [0], "nonce": "00" }');
    await expect(tpm.quote(ak, misspelt)).rejects.toMatchObject({ code: 'TPM_ARGUMENT_INVALID' });
    const parameters: { PCRselect: [] } = JSON.parse('{ "PCRselect": [], "nonce": "00" }');
    await expect(tpm.run(Quote, { handles: { signHandle: ak }, parameters })).rejects.toThrow(
      'Quote: no parameter nonce',
    );
  });
});

describe('PCRs', () => {
  it('reads all 24 in order although one command returns 8', async () => {
    const values = await tpm.pcrRead(Array.from({ length: 24 }, (_, pcr) => 23 - pcr));
    expect(values.map(({ pcr }) => pcr)).toEqual(Array.from({ length: 24 }, (_, pcr) => pcr));
    expect(values.every(({ value }) => value.length === 32)).toBe(true);
    expect(await tpm.pcrRead([])).toEqual([]);
  });

  it('extends by hashing the old value with the digest', async () => {
    const digest = sha256(fromUtf8('event'));
    const [before] = await tpm.pcrRead([9]);
    await tpm.pcrExtend(9, digest);
    const [after] = await tpm.pcrRead([9]);
    if (before === undefined || after === undefined) throw new Error('want a value');
    expect(toHex(after.value)).toBe(toHex(sha256(before.value, digest)));
  });

  it('extends by each digest of a list in turn, and by none when one is of a hash unknown to it', async () => {
    const [first, second] = [sha256(fromUtf8('first')), sha256(fromUtf8('second'))];
    const [before] = await tpm.pcrRead([9]);
    if (before === undefined) throw new Error('want a value');
    const digests = [first, second].map((digest) => ({ hashAlg: ALG.sha256, digest }));
    const unknown = { hashAlg: ALG.sha3With256, digest: first };
    await expect(tpm.pcrExtend(9, [...digests, unknown])).rejects.toMatchObject({
      data: { name: 'HASH (parameter 1)', accused: { name: 'digests' } },
    });
    await tpm.pcrExtend(9, digests);
    const [after] = await tpm.pcrRead([9]);
    expect(toHex(after?.value ?? NONCE)).toBe(toHex(sha256(sha256(before.value, first), second)));
  });

  it('refuses to measure nothing, which the command of the TPM takes for done', async () => {
    const counter = () => tpm.run(PCR_Read, { parameters: { pcrSelectionIn: [] } });
    const before = await counter();
    await tpm.run(PCR_Extend, { handles: { pcrHandle: 9 }, parameters: { digests: [] } });
    expect(await counter()).toEqual(before);
    await expect(tpm.pcrExtend(9, [])).rejects.toMatchObject({ code: 'TPM_ARGUMENT_INVALID' });
  });

  it('measures an event without data as the digest of nothing', async () => {
    const [before] = await tpm.pcrRead([16]);
    await tpm.run(PCR_Event, { handles: { pcrHandle: 16 }, parameters: { eventData: new Uint8Array(0) } });
    const [after] = await tpm.pcrRead([16]);
    expect(toHex(after?.value ?? NONCE)).toBe(
      toHex(sha256(before?.value ?? NONCE, sha256(new Uint8Array(0)))),
    );
  });

  it('refuses a digest of another size and a PCR that is none', async () => {
    await expect(tpm.pcrExtend(9, new Uint8Array(20))).rejects.toMatchObject({
      code: 'TPM_ARGUMENT_INVALID',
    });
    await expect(tpm.pcrExtend(24, new Uint8Array(32))).rejects.toMatchObject({
      code: 'TPM_ARGUMENT_INVALID',
    });
  });
});

describe('sealing', () => {
  it('unseals while the PCRs hold the sealed values, and refuses after an extend', async () => {
    const blob = await tpm.seal(SECRET, { pcrs: [8, 15] });
    expect(toHex(await tpm.unseal(blob))).toBe(toHex(SECRET));
    await tpm.pcrExtend(15, sha256(fromUtf8('another release')));
    await expect(tpm.unseal(blob)).rejects.toMatchObject({ code: 'TPM_UNSEAL_REFUSED' });
  });

  it('does not give the secret to a blob whose PCR list was changed', async () => {
    const blob = await tpm.seal(SECRET, { pcrs: [8] });
    const changed = blob.with(5, 11);
    expect(parseSealedBlob(changed).pcrs).toEqual([11]);
    await tpm.pcrExtend(11, sha256(fromUtf8('differs from PCR 8')));
    await expect(tpm.unseal(changed)).rejects.toMatchObject({ code: 'TPM_UNSEAL_REFUSED' });
  });

  it('does not give the secret to a password when a policy guards it', async () => {
    const { privateArea, publicArea } = parseSealedBlob(await tpm.seal(SECRET, { pcrs: [8] }));
    const unsealWithPassword = tpm.exclusive((io) =>
      withPrimary(io, { hierarchy: 'endorsement', template: TEMPLATES.srk }, (srk) =>
        withLoaded(io, { parent: srk, privateArea, publicArea }, (object) =>
          io.send({ name: 'Unseal', code: 0x15e, handles: [object], authorizations: ['password'] }),
        ),
      ),
    );
    await expect(unsealWithPassword).rejects.toMatchObject({ data: { returnCode: 0x12f } });
  });

  it('seals without a policy to the TPM alone', async () => {
    const blob = await tpm.seal(SECRET);
    await tpm.pcrExtend(8, sha256(fromUtf8('anything')));
    expect(toHex(await tpm.unseal(blob))).toBe(toHex(SECRET));
  });

  it('refuses a blob with a changed bit, and a blob of another TPM', async () => {
    const blob = await tpm.seal(SECRET);
    const changed = blob.with(60, (blob[60] as number) ^ 1);
    await expect(tpm.unseal(changed)).rejects.toMatchObject({ code: 'TPM_UNSEAL_REFUSED' });
    const other = await startTestTpm();
    await expect(other.tpm.unseal(blob)).rejects.toMatchObject({ code: 'TPM_UNSEAL_REFUSED' });
    await other.stop();
  });

  it('seals 128 bytes, and refuses none and 129', async () => {
    const longest = await tpm.getRandom(128);
    expect(bytesEqual(await tpm.unseal(await tpm.seal(longest)), longest)).toBe(true);
    await expect(tpm.seal(new Uint8Array(129))).rejects.toMatchObject({ code: 'TPM_ARGUMENT_INVALID' });
    await expect(tpm.seal(new Uint8Array(0))).rejects.toMatchObject({ code: 'TPM_ARGUMENT_INVALID' });
  });

  it('starts over when an unrelated PCR moves between policy and use', async () => {
    const blob = await tpm.seal(SECRET, { pcrs: [8] });
    let disturbances = 3;
    const secret = await tpm.exclusive((io) => unsealDisturbed(io, blob, () => disturbances-- > 0));
    expect(toHex(secret)).toBe(toHex(SECRET));
    expect(disturbances).toBe(-1);
  });

  it('gives up when PCRs never rest', async () => {
    const blob = await tpm.seal(SECRET, { pcrs: [8] });
    const unsealed = tpm.exclusive((io) => unsealDisturbed(io, blob, () => true));
    await expect(unsealed).rejects.toMatchObject({ code: 'TPM_RETRIES_EXHAUSTED' });
    expect(await tpm.listHandles('loadedSession')).toHaveLength(1);
  });

  /** The TPM as IMA makes it: PCR 10 is extended just before an unseal. */
  async function unsealDisturbed(io: TpmIo, blob: Uint8Array, disturb: () => boolean): Promise<Uint8Array> {
    const disturbed: TpmIo = {
      ...io,
      async send(command, options) {
        if (command.name === 'Unseal' && disturb()) await pcrExtend(io, 10, NONCE);
        return await io.send(command, options);
      },
    };
    return await unseal(disturbed, blob);
  }
});

describe('the client', () => {
  it('leaves no object behind and no session but its own, whatever it did fifty times', async () => {
    const blob = await tpm.seal(SECRET, { pcrs: [8] });
    for (let i = 0; i < 50; i++) {
      await tpm.getRandom(40);
      await tpm.seal(SECRET, { pcrs: [0] });
      await tpm.unseal(blob);
      await expect(tpm.unseal(blob.with(60, 0).with(61, 0))).rejects.toMatchObject({
        code: 'TPM_UNSEAL_REFUSED',
      });
      await tpm.quote(ak, { qualifyingData: NONCE, pcrs: [0] });
      await tpm.exclusive((io) =>
        withPolicySession(io, async (session) => {
          await policyPcr(io, session, [8]);
        }),
      );
    }
    expect(await tpm.listHandles('transient')).toEqual([ak.handle]);
    expect(await tpm.listHandles('loadedSession')).toHaveLength(1);
  });

  it('keeps sequences of commands whole under concurrent use', async () => {
    const blob = await tpm.seal(SECRET, { pcrs: [8] });
    const work = Array.from({ length: 40 }, (_, i) => {
      if (i % 4 === 0) return tpm.unseal(blob);
      if (i % 4 === 1) return tpm.seal(SECRET, { pcrs: [8] });
      if (i % 4 === 2) return tpm.quote(ak, { qualifyingData: NONCE, pcrs: [0] });
      return tpm.pcrRead([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    });
    const results = await Promise.allSettled(work);
    expect(results.filter(({ status }) => status === 'rejected')).toEqual([]);
  });

  it('refuses work beyond its queue', async () => {
    const results = await Promise.allSettled(Array.from({ length: 300 }, () => tpm.getRandom(1)));
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(300 - 257);
    expect(refused.every(({ reason }) => reason.code === 'TPM_CHANNEL_BUSY')).toBe(true);
  });

  it('returns as many random bytes as asked, and refuses absurd counts', async () => {
    expect(await tpm.getRandom(0)).toHaveLength(0);
    expect(await tpm.getRandom(100)).toHaveLength(100);
    for (const length of [-1, 1.5, 4097]) {
      await expect(tpm.getRandom(length)).rejects.toMatchObject({ code: 'TPM_ARGUMENT_INVALID' });
    }
  });

  it('locks the platform hierarchy, and may do it again', async () => {
    await tpm.lockPlatform();
    await tpm.lockPlatform();
    const clear = tpm.exclusive((io) =>
      io.send({
        name: 'HierarchyControl',
        code: 0x121,
        handles: [0x4000000c],
        authorizations: ['password'],
        parameters: fromHex('4000000c01'),
      }),
    );
    await expect(clear).rejects.toMatchObject({ data: { returnCode: 0x185 } });
  });

  it('names a missing nv index', async () => {
    await expect(tpm.nvRead(0x01c0ffff)).rejects.toMatchObject({ data: { command: 'NV_ReadPublic' } });
  });

  it('reports that a TPM runs already as no fault', async () => {
    await tpm.startup();
  });

  it('frees the slots an earlier client left full', async () => {
    const other = await startTestTpm();
    for (let i = 0; i < 3; i++) await other.tpm.createPrimary(AK);
    await other.tpm.exclusive((io) =>
      io.send({
        name: 'StartAuthSession',
        code: 0x176,
        handles: [0x40000007, 0x40000007],
        parameters: fromHex(`0010${'00'.repeat(16)}0000010010000b`),
        returnsHandle: true,
      }),
    );
    await other.tpm.close();
    const next = await Tpm.open(await openUnixChannel(other.socketPath));
    expect(await next.listHandles('transient')).toEqual([]);
    expect(await next.listHandles('loadedSession')).toEqual([]);
    await next.close();
    await other.stop();
  });

  it('does not wait for ever on a TPM that serves another client', async () => {
    const second = openUnixChannel(software.socketPath).then((channel) =>
      Tpm.open(channel, { timeoutMs: 100 }),
    );
    await expect(second).rejects.toMatchObject({ code: 'TPM_CHANNEL_TIMEOUT' });
    expect((await tpm.pcrRead([0]))[0]?.pcr).toBe(0);
  });
});
