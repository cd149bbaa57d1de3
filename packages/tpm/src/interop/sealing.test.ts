import { fromUtf8, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Create, Unseal } from '../commands/index.ts';
import { run } from '../commands/run.ts';
import { parseSealedBlob } from '../sealed-blob.ts';
import { withPolicySession } from '../sessions/policy.ts';
import { satisfyPolicy } from '../sessions/satisfy.ts';
import { ALG, OBJECT_ATTRIBUTE } from '../structures/algorithms.ts';
import { policyDigest } from '../structures/policy-digest.ts';
import { makePremises, meansOf, POLICIES, type Premises } from './test-policies.ts';
import {
  filesOf,
  hexHandle,
  loadFiles,
  makeParent,
  PARENT,
  type SharedTpm,
  startSharedTpm,
  toSized,
  writeObject,
} from './test-tools.ts';

const UNDER_PARENT = ['-C', hexHandle(PARENT)] as const;
const SECRET = fromUtf8('what was sealed');
const PASSWORD = 'of the object';

let shared: SharedTpm;
let premises: Premises;

beforeAll(async () => {
  shared = await startSharedTpm();
  await makeParent(shared);
  premises = await makePremises(shared);
  await shared.write('secret', SECRET);
});

afterAll(() => shared.stop());

async function inToolSession<T>(kind: readonly string[], use: () => Promise<T>): Promise<T> {
  await shared.tool('startauthsession', '-S', 'session', ...kind);
  try {
    return await use();
  } finally {
    await shared.tool('flushcontext', 'session');
  }
}

/** TPM2_Create of sealed data, by this client. */
async function seal(
  name: string,
  policy?: { hashAlg: number; digest: Uint8Array },
  password = '',
): Promise<void> {
  const { fixedTpm, fixedParent, userWithAuth } = OBJECT_ATTRIBUTE;
  const inPublic = {
    type: 'keyed-hash',
    nameAlg: policy?.hashAlg ?? ALG.sha256,
    attributes: fixedTpm | fixedParent | (policy === undefined ? userWithAuth : 0),
    authPolicy: policy?.digest ?? new Uint8Array(0),
    scheme: undefined,
    unique: new Uint8Array(0),
  } as const;
  const inSensitive = { userAuth: fromUtf8(password), data: SECRET };
  const made = await shared.client((tpm) =>
    tpm.run(Create, { handles: { parentHandle: PARENT }, parameters: { inSensitive, inPublic } }),
  );
  await writeObject(shared, name, made);
}

describe.each(POLICIES)('under $name:', (policy) => {
  const { hash, tools, wantsPassword } = policy;
  const hashAlg = ALG[hash];
  const digest = () => policyDigest(policy.assertions(premises), hashAlg);
  const password = wantsPassword ? PASSWORD : '';

  const assertByTools = async (): Promise<void> => {
    for (const [name = '', ...args] of tools) await shared.tool(name, '-S', 'session', ...args);
  };

  test('a trial session of tpm2-tools reaches the digest of policyDigest', async () => {
    await inToolSession(['-g', hash], async () => {
      await assertByTools();
      await shared.tool('getpolicydigest', '-S', 'session', '-o', 'digest');
    });
    expect(toHex(await shared.read('digest'))).toBe(toHex(digest()));
  });

  test('what tpm2_create sealed is unsealed by Unseal', async () => {
    await shared.write('policy', digest());
    const options = ['-g', hash, '-L', 'policy', '-a', 'fixedtpm|fixedparent', '-i', 'secret'];
    if (wantsPassword) options.push('-p', PASSWORD);
    await shared.tool('create', ...UNDER_PARENT, ...options, ...filesOf('theirs'));
    await shared.client(async (tpm) => {
      const itemHandle = await loadFiles(shared, tpm, 'theirs');
      const unsealed = await tpm.exclusive((io) =>
        withPolicySession(
          io,
          async (session) => {
            await satisfyPolicy(io, session, policy.assertions(premises), meansOf(premises));
            const auth = [{ session, auth: fromUtf8(password) }];
            return await run(io, Unseal, { handles: { itemHandle }, auth });
          },
          { hashAlg },
        ),
      );
      expect(unsealed.outData).toEqual(SECRET);
      await expect(tpm.run(Unseal, { handles: { itemHandle } })).rejects.toMatchObject({
        data: { name: 'AUTH_UNAVAILABLE' },
      });
    });
  });

  test('what Create sealed is unsealed by tpm2_unseal', async () => {
    await seal('ours', { hashAlg, digest: digest() }, password);
    await shared.tool('load', ...UNDER_PARENT, ...filesOf('ours'), '-c', 'sealed');
    await inToolSession(['--policy-session', '-g', hash], async () => {
      await assertByTools();
      const auth = wantsPassword ? `session:session+${PASSWORD}` : 'session:session';
      await shared.tool('unseal', '-c', 'sealed', '-p', auth, '-o', 'unsealed');
    });
    expect(await shared.read('unsealed')).toEqual(SECRET);
  });
});

describe('by a password:', () => {
  test('what tpm2_create sealed is unsealed by Unseal, and by no other password', async () => {
    const sealing = ['-p', PASSWORD, '-a', 'fixedtpm|fixedparent|userwithauth|noda', '-i', 'secret'];
    await shared.tool('create', ...UNDER_PARENT, ...sealing, ...filesOf('theirs'));
    await shared.client(async (tpm) => {
      const handles = { itemHandle: await loadFiles(shared, tpm, 'theirs') };
      const unseal = (password: string) =>
        tpm.run(Unseal, { handles, auth: [{ password: fromUtf8(password) }] });
      expect((await unseal(PASSWORD)).outData).toEqual(SECRET);
      await expect(unseal('another')).rejects.toMatchObject({ data: { name: 'BAD_AUTH (session 1)' } });
    });
  });

  test('what Create sealed is unsealed by tpm2_unseal, in the clear and by an HMAC session', async () => {
    await seal('ours', undefined, PASSWORD);
    await shared.tool('load', ...UNDER_PARENT, ...filesOf('ours'), '-c', 'sealed');
    await shared.tool('unseal', '-c', 'sealed', '-p', PASSWORD, '-o', 'unsealed');
    expect(await shared.read('unsealed')).toEqual(SECRET);
    await inToolSession(['--hmac-session'], async () => {
      await shared.tool(
        'unseal',
        '-c',
        'sealed',
        '-p',
        `session:session+${PASSWORD}`,
        '-o',
        'unsealed.again',
      );
    });
    expect(await shared.read('unsealed.again')).toEqual(SECRET);
    await expect(shared.tool('unseal', '-c', 'sealed', '-p', 'another')).rejects.toThrow('authorization');
  });
});

describe('the blobs of Tpm.seal:', () => {
  beforeAll(async () => {
    // The endorsement hierarchy's storage root key, as the tools spell its template.
    const attributes = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt';
    await shared.tool('createprimary', '-C', 'e', '-G', 'ecc256:aes128cfb', '-a', attributes, '-c', 'srk');
  });

  const load = async (blob: Uint8Array): Promise<void> => {
    const { publicArea, privateArea } = parseSealedBlob(blob);
    await shared.write('blob.pub', toSized(publicArea));
    await shared.write('blob.priv', toSized(privateArea));
    await shared.tool('load', '-C', 'srk', ...filesOf('blob'), '-c', 'sealed');
  };

  test('one without PCRs is unsealed by tpm2_unseal', async () => {
    await load(await shared.client((tpm) => tpm.seal(SECRET)));
    await shared.tool('unseal', '-c', 'sealed', '-o', 'unsealed');
    expect(await shared.read('unsealed')).toEqual(SECRET);
  });

  test('one with PCRs is unsealed by tpm2_unseal, and by nobody after tpm2_pcrextend', async () => {
    const blob = await shared.client((tpm) => tpm.seal(SECRET, { pcrs: [0, 7, 23] }));
    await load(blob);
    const unseal = (): Promise<string> =>
      shared.tool('unseal', '-c', 'sealed', '-p', 'pcr:sha256:0,7,23', '-o', 'unsealed');
    await unseal();
    expect(await shared.read('unsealed')).toEqual(SECRET);
    await shared.tool('pcrextend', `23:sha256=${'ef'.repeat(32)}`);
    await expect(unseal()).rejects.toThrow('policy check failed');
    await shared.client(async (tpm) => {
      await expect(tpm.unseal(blob)).rejects.toMatchObject({ code: 'TPM_UNSEAL_REFUSED' });
    });
  });
});
