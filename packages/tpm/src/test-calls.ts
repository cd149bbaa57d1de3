import { makeCredential } from './credential.ts';
import type { LoadedKey, TpmKey } from './object.ts';
import { storePersistent } from './persistent.ts';
import { ALG, NV_ATTRIBUTE } from './structures/algorithms.ts';
import { TEMPLATES, vrfTemplate } from './structures/templates.ts';
import type { Tpm } from './tpm.ts';

/** What calls find in a TPM, or beside it, however often a client opens it. */
export interface Prepared {
  readonly ek: TpmKey;
  readonly sealed: Uint8Array;
  readonly sealedToPcrs: Uint8Array;
}

/** The same with three keys that are held meanwhile, so that each slot is taken already. */
export interface Setting extends Prepared {
  readonly ak: LoadedKey;
  readonly vrf: LoadedKey;
  readonly srk: LoadedKey;
}

export const NONCE = new Uint8Array(32).fill(7);
/** Nothing else in a test looks like it. */
export const SECRET = Uint8Array.from({ length: 32 }, (_, i) => 0xa5 ^ (i * 37));
export const PASSWORD = Uint8Array.from({ length: 16 }, (_, i) => 0x5a ^ (i * 53));

const INDEX = { data: 0x01500001, counter: 0x01500002, register: 0x01500003, spare: 0x01500004 } as const;
const PERSISTENT_EK = 0x81010001;
const { authRead, authWrite, counter, extend, noDa } = NV_ATTRIBUTE;
const BY_PASSWORD = authRead | authWrite | noDa;
const access = { auth: { password: PASSWORD } };

/** Every method of `Tpm` that takes a slot, or several commands, or carries a secret. */
export const CALLS: Readonly<Record<string, (tpm: Tpm, setting: Setting) => Promise<unknown>>> = {
  getRandom: (tpm) => tpm.getRandom(40),
  createPrimary: async (tpm) => {
    const key = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.srk });
    await key[Symbol.asyncDispose]();
  },
  readPublic: (tpm, { ak }) => tpm.readPublic(ak.handle),
  pcrRead: (tpm) => tpm.pcrRead([0, 1, 2, 3, 4, 5, 6, 7, 8]),
  pcrReadBanks: (tpm) =>
    tpm.pcrReadBanks([ALG.sha1, ALG.sha384].map((hashAlg) => ({ hashAlg, pcrs: [0, 7] }))),
  quote: (tpm, { ak }) => tpm.quote(ak, { qualifyingData: NONCE, pcrs: [0, 7] }),
  getTime: (tpm, { ak }) => tpm.getTime(ak, NONCE),
  certify: (tpm, { ak, vrf }) => tpm.certify(vrf, ak, NONCE),
  activateCredential: (tpm, { ak, ek }) =>
    tpm.activateCredential({ ak, ek, ...makeCredential(ek.publicArea, ak.name, SECRET) }),
  seal: (tpm) => tpm.seal(SECRET, { pcrs: [7] }),
  unseal: (tpm, { sealed }) => tpm.unseal(sealed),
  unsealByPolicy: (tpm, { sealedToPcrs }) => tpm.unseal(sealedToPcrs),
  vrfProve: (tpm, { vrf }) => tpm.vrfProve(vrf, NONCE),
  vrfProveByPolicy: async (tpm) => {
    const policy = { pcrs: [7] };
    const template = vrfTemplate(await tpm.pcrPolicyDigest(policy));
    await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template });
    await tpm.vrfProve(key, NONCE, policy);
  },
  hash: (tpm) => tpm.hash({ hashAlg: ALG.sha256, data: new Uint8Array(3000) }),
  nvDefine: async (tpm) => {
    // One that a call before left behind.
    if ((await tpm.listHandles('nvIndex')).includes(INDEX.spare)) await tpm.nvUndefine(INDEX.spare);
    await tpm.nvDefine({ index: INDEX.spare, dataSize: 8, attributes: BY_PASSWORD, password: PASSWORD });
  },
  nvWrite: (tpm) => tpm.nvWrite(INDEX.data, SECRET, access),
  nvRead: (tpm) => tpm.nvRead(INDEX.data, access),
  nvReadCounter: (tpm) => tpm.nvReadCounter(INDEX.counter, access),
  nvIncrement: (tpm) => tpm.nvIncrement(INDEX.counter, access),
  nvExtend: (tpm) => tpm.nvExtend(INDEX.register, SECRET, access),
  nvCertify: (tpm, { ak }) => tpm.nvCertify(ak, { index: INDEX.data, qualifyingData: NONCE, ...access }),
  inspect: (tpm) => tpm.inspect(),
};

/** Those whose value is `SECRET`, or nothing. */
export const REVEALING: readonly string[] = ['activateCredential', 'unseal', 'unsealByPolicy', 'nvRead'];

/** Makes on a blank TPM what the calls find there. */
export async function prepare(tpm: Tpm): Promise<Prepared> {
  const index = { attributes: BY_PASSWORD, password: PASSWORD };
  await tpm.nvDefine({ ...index, index: INDEX.data, dataSize: SECRET.length });
  await tpm.nvDefine({ ...index, index: INDEX.counter, dataSize: 8, attributes: BY_PASSWORD | counter });
  await tpm.nvDefine({ ...index, index: INDEX.register, dataSize: 32, attributes: BY_PASSWORD | extend });
  await tpm.nvWrite(INDEX.data, SECRET, access);
  await tpm.nvIncrement(INDEX.counter, access);
  await tpm.nvExtend(INDEX.register, NONCE, access);
  await using ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ek });
  return {
    ek: await tpm.exclusive((io) => storePersistent(io, ek, PERSISTENT_EK)),
    sealed: await tpm.seal(SECRET),
    sealedToPcrs: await tpm.seal(SECRET, { pcrs: [7] }),
  };
}

export async function hold(tpm: Tpm, prepared: Prepared): Promise<Setting> {
  const primary = (template: Uint8Array) => tpm.createPrimary({ hierarchy: 'endorsement', template });
  return {
    ...prepared,
    ak: await primary(TEMPLATES.ak),
    vrf: await primary(TEMPLATES.vrf),
    srk: await primary(TEMPLATES.srk),
  };
}
