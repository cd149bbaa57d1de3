import { bytesEqual, concatBytes, fromUtf8, sha256, toHex } from '@nemea/core';
import { makeCredential, openUnixChannel, TEMPLATES, Tpm, type TpmChannel } from '@nemea/tpm';
import { startTestTpm } from '@nemea/tpm/testing';
import { flipped } from './bytes.ts';
import { type Row, rowsOf, type Tampering } from './row.ts';
import { withTpm } from './tpm.ts';

const SECRET = sha256(fromUtf8('known to us and to the TPM alone'));
const UNSEAL = 0x15e;
// Tag, size and response code, the size of the parameters, and the size of the secret.
const SECRET_AT = 16;

/** What somebody between client and TPM makes of the answer to TPM2_Unseal, given the one before it. */
interface Man {
  readonly passes: (response: Uint8Array, previous: Uint8Array | undefined) => Uint8Array;
}

function between(channel: TpmChannel, man: Man): TpmChannel {
  let previous: Uint8Array | undefined;
  return {
    get isOpen() {
      return channel.isOpen;
    },
    async transmit(command, options) {
      const response = await channel.transmit(command, options);
      if (new DataView(command.buffer, command.byteOffset).getUint32(6) !== UNSEAL) return response;
      const passed = man.passes(response, previous);
      previous = response;
      return passed;
    },
    close: () => channel.close(),
  };
}

/** Unseals twice, so that the first answer can be shown again. */
async function unsealThrough(man: Man): Promise<string> {
  const server = await startTestTpm();
  await server.tpm.close();
  try {
    await using tpm = await Tpm.open(between(await openUnixChannel(server.socketPath), man));
    const blob = await tpm.seal(SECRET);
    const secrets = [await tpm.unseal(blob), await tpm.unseal(blob)];
    return secrets.every((secret) => bytesEqual(secret, SECRET)) ? 'OK' : 'SECRET_WRONG';
  } finally {
    await server.stop();
  }
}

const man = (passes: Man['passes']) => (): Man => ({ passes });
const SECTION = 'TPM 2.0 Part 1, 19.6';

const responses: readonly Tampering<Man>[] = [
  ['with a bit of the secret flipped', 'TPM_RESPONSE_FORGED', SECTION, man((it) => flipped(it, SECRET_AT))],
  ['with a bit of its HMAC flipped', 'TPM_RESPONSE_FORGED', SECTION, man((it) => flipped(it, it.length - 1))],
  [
    "with a bit of the TPM's nonce flipped",
    'TPM_RESPONSE_FORGED',
    SECTION,
    man((it) => flipped(it, it.length - 40)),
  ],
  ['that is an old one, shown again', 'TPM_RESPONSE_FORGED', SECTION, man((it, previous) => previous ?? it)],
  [
    'without its sessions',
    'TPM_STRUCTURE_INVALID',
    SECTION,
    man(() => concatBytes(Uint8Array.of(0x80, 1, 0, 0, 0, 44, 0, 0, 0, 0, 0, 32), SECRET)),
  ],
];

interface Offer {
  /** For which key of the TPM, and by whose endorsement key, the credential was made. */
  readonly name: 'ak' | 'vrf';
  readonly change: (credential: ReturnType<typeof makeCredential>) => ReturnType<typeof makeCredential>;
}

const activate = ({ name, change }: Offer): Promise<string> =>
  withTpm(async (tpm) => {
    const ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ek });
    const ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
    const vrf = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.vrf });
    const credential = change(makeCredential(ek.publicArea, { ak, vrf }[name].name, SECRET));
    const secret = await tpm.activateCredential({ ak, ek, ...credential });
    return bytesEqual(secret, SECRET) ? 'OK' : 'SECRET_WRONG';
  });

const honestOffer: Offer = { name: 'ak', change: (it) => it };
const last = (bytes: Uint8Array): Uint8Array => flipped(bytes, bytes.length - 1);
const credentials: readonly Tampering<Offer>[] = [
  [
    'with a bit of its credential flipped',
    'TPM_CREDENTIAL_REFUSED',
    'ATT-17',
    (it) => ({ ...it, change: (made) => ({ ...made, credentialBlob: last(made.credentialBlob) }) }),
  ],
  [
    'with a bit of its encrypted seed flipped',
    'TPM_CREDENTIAL_REFUSED',
    'ATT-17',
    (it) => ({ ...it, change: (made) => ({ ...made, encryptedSecret: last(made.encryptedSecret) }) }),
  ],
  ['made for another key of the TPM', 'TPM_CREDENTIAL_REFUSED', 'ATT-17', (it) => ({ ...it, name: 'vrf' })],
];

interface Sealed {
  readonly extends: readonly number[];
  readonly change: (blob: Uint8Array) => Uint8Array;
}

/** Sealed to PCR 14, and to be unsealed after these registers were extended. */
const unsealAfter = ({ extends: pcrs, change }: Sealed): Promise<string> =>
  withTpm(async (tpm) => {
    const blob = change(await tpm.seal(SECRET, { pcrs: [14] }));
    for (const pcr of pcrs) await tpm.pcrExtend(pcr, SECRET);
    return toHex(await tpm.unseal(blob)) === toHex(SECRET) ? 'OK' : 'SECRET_WRONG';
  });

const seals: readonly Tampering<Sealed>[] = [
  ['with a bit of its last byte flipped', 'TPM_UNSEAL_REFUSED', 'ATT-3', (it) => ({ ...it, change: last })],
  [
    'with another register in its list',
    'TPM_UNSEAL_REFUSED',
    'ATT-3',
    (it) => ({ ...it, change: (blob) => blob.with(5, 9) }),
  ],
  ['cut', 'TPM_STRUCTURE_INVALID', 'ATT-3', (it) => ({ ...it, change: (blob) => blob.slice(0, -1) })],
  ['after its register was extended', 'TPM_UNSEAL_REFUSED', 'ATT-3', (it) => ({ ...it, extends: [14] })],
  ['after another register was extended', 'OK', 'ATT-3', (it) => ({ ...it, extends: [9] })],
];

export const sessionRows: readonly Row[] = [
  ...rowsOf(
    { artefact: "a TPM's response", by: 'Tpm.unseal', honest: man((it) => it), judge: unsealThrough },
    responses,
  ),
  ...rowsOf(
    { artefact: 'a credential', by: 'TPM2_ActivateCredential', honest: () => honestOffer, judge: activate },
    credentials,
  ),
  ...rowsOf(
    {
      artefact: 'a sealed secret',
      by: 'Tpm.unseal',
      honest: (): Sealed => ({ extends: [], change: (it) => it }),
      judge: unsealAfter,
    },
    seals,
  ),
];
