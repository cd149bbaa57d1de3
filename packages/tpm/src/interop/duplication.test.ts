import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { fromUtf8, sha256 } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HANDLE } from '../command.ts';
import {
  Create,
  Duplicate,
  Import,
  PolicyCommandCode,
  PolicyDuplicationSelect,
  Sign,
} from '../commands/index.ts';
import { run } from '../commands/run.ts';
import type { TpmIo } from '../executor.ts';
import type { TpmKey } from '../object.ts';
import { withPolicySession } from '../sessions/policy.ts';
import type { Session } from '../sessions/session.ts';
import { ALG, CURVE, OBJECT_ATTRIBUTE } from '../structures/algorithms.ts';
import { encode, sized } from '../structures/codec.ts';
import { tpmtSensitive } from '../structures/object.ts';
import { type PolicyAssertion, policyDigest } from '../structures/policy-digest.ts';
import { encodePublicArea, nameOf } from '../structures/public-area.ts';
import { toSpki } from '../structures/public-key.ts';
import { encodeSignature, parseSignature } from '../structures/signature.ts';
import {
  filesOf,
  fromSized,
  hexHandle,
  loadFiles,
  makeParent,
  PARENT,
  readArea,
  type SharedTpm,
  startSharedTpm,
  toSized,
  writeObject,
} from './test-tools.ts';

const MESSAGE = fromUtf8('a message');
const EMPTY = new Uint8Array(0);
const INNER_KEY = new Uint8Array(16).fill(0x5a);
const AES_128 = { algorithm: 'aes', keyBits: 128, mode: ALG.cfb } as const;
const NEW_PARENTS = { rsa: 0x81000002, ecc: 0x81000003 } as const;
const BY_COMMAND: PolicyAssertion = { type: 'command-code', code: Duplicate.code };

let shared: SharedTpm;

beforeAll(async () => {
  shared = await startSharedTpm();
  await makeParent(shared);
  for (const [kind, handle] of Object.entries(NEW_PARENTS)) {
    await shared.tool('createprimary', '-C', 'e', '-G', kind, '-c', kind);
    await shared.tool('evictcontrol', '-C', 'o', '-c', kind, hexHandle(handle));
  }
  await shared.write('message', MESSAGE);
  await shared.write('inner', INNER_KEY);
  await createKey('key', policyDigest([BY_COMMAND]));
});

afterAll(() => shared.stop());

/** A key that its policy lets go. */
async function createKey(name: string, authPolicy: Uint8Array): Promise<void> {
  const { sign, userWithAuth, sensitiveDataOrigin } = OBJECT_ATTRIBUTE;
  const inPublic = { ...template(sign | userWithAuth | sensitiveDataOrigin), authPolicy };
  const made = await shared.client((tpm) =>
    tpm.run(Create, { handles: { parentHandle: PARENT }, parameters: { inPublic } }),
  );
  await writeObject(shared, name, made);
}

function template(attributes: number) {
  return {
    type: 'ecc',
    nameAlg: ALG.sha256,
    attributes,
    authPolicy: EMPTY,
    symmetric: undefined,
    scheme: { scheme: 'ecdsa', hashAlg: ALG.sha256 },
    curve: CURVE.p256,
    kdf: undefined,
    x: EMPTY,
    y: EMPTY,
  } as const;
}

interface Wrapping {
  /** The new parent, 0 for none. */
  readonly parent: number;
  readonly hasInner: boolean;
}

async function duplicateByTool(
  name: string,
  { parent, hasInner }: Wrapping,
  policy: readonly string[],
): Promise<void> {
  await shared.tool('load', '-C', hexHandle(PARENT), ...filesOf(name), '-c', 'loaded');
  await shared.tool('startauthsession', '--policy-session', '-S', 'session');
  try {
    const [assertion = '', ...args] = policy;
    await shared.tool(assertion, '-S', 'session', ...args);
    const inner = hasInner ? ['-G', 'aes', '-i', 'inner'] : ['-G', 'null'];
    const outer = ['-C', parent === 0 ? 'null' : hexHandle(parent)];
    const files = ['-r', 'duplicate', '-s', 'seed'];
    await shared.tool('duplicate', '-c', 'loaded', ...outer, ...inner, '-p', 'session:session', ...files);
  } finally {
    await shared.tool('flushcontext', 'session');
  }
}

async function duplicateByClient(
  name: string,
  { parent, hasInner }: Wrapping,
  assert: (io: TpmIo, policySession: Session, object: TpmKey) => Promise<unknown>,
): Promise<void> {
  const moved = await shared.client(async (tpm) => {
    const objectHandle = await loadFiles(shared, tpm, name);
    return await tpm.exclusive((io) =>
      withPolicySession(io, async (session) => {
        await assert(io, session, objectHandle);
        return await run(io, Duplicate, {
          handles: { objectHandle, newParentHandle: parent === 0 ? HANDLE.null : parent },
          parameters: {
            symmetricAlg: hasInner ? AES_128 : undefined,
            encryptionKeyIn: hasInner ? INNER_KEY : EMPTY,
          },
          auth: [session],
        });
      }),
    );
  });
  await shared.write('duplicate', toSized(moved.duplicate));
  await shared.write('seed', toSized(moved.outSymSeed));
}

async function importByTool(name: string, parent: number, hasInner: boolean): Promise<void> {
  await shared.write('imported.pub', await shared.read(`${name}.pub`));
  const inner = hasInner ? ['-k', 'inner'] : [];
  await shared.tool(
    'import',
    '-C',
    hexHandle(parent),
    ...filesOf('imported'),
    '-i',
    'duplicate',
    '-s',
    'seed',
    ...inner,
  );
}

async function importByClient(name: string, parent: number, hasInner: boolean): Promise<void> {
  const objectPublic = await readArea(shared, name);
  const parameters = {
    objectPublic,
    duplicate: fromSized(await shared.read('duplicate')),
    inSymSeed: fromSized(await shared.read('seed')),
    encryptionKey: hasInner ? INNER_KEY : EMPTY,
    symmetricAlg: hasInner ? AES_128 : undefined,
  };
  const { outPrivate } = await shared.client((tpm) =>
    tpm.run(Import, { handles: { parentHandle: parent }, parameters }),
  );
  await writeObject(shared, 'imported', { outPublic: objectPublic, outPrivate });
}

/** Whether the key that was imported signs for the public key that it had before. */
async function expectSigns(signer: 'tool' | 'client', parent: number, spki?: Uint8Array): Promise<void> {
  if (signer === 'tool') {
    await shared.tool('load', '-C', hexHandle(parent), ...filesOf('imported'), '-c', 'loaded');
    await shared.tool('sign', '-c', 'loaded', '-g', 'sha256', '-s', 'ecdsa', '-o', 'signature', 'message');
  } else {
    await shared.client(async (tpm) => {
      const keyHandle = await loadFiles(shared, tpm, 'imported', parent);
      const { signature } = await tpm.run(Sign, {
        handles: { keyHandle },
        parameters: { digest: sha256(MESSAGE), inScheme: { scheme: 'ecdsa', hashAlg: ALG.sha256 } },
      });
      await shared.write('signature', encodeSignature(signature));
    });
  }
  const signature = parseSignature(await shared.read('signature'));
  const key = Buffer.from(spki ?? toSpki(await readArea(shared, 'imported')));
  const publicKey = createPublicKey({ key, format: 'der', type: 'spki' });
  expect(signature.scheme).toBe('ecdsa');
  const rs = 'rs' in signature ? signature.rs : EMPTY;
  expect(verify('sha256', MESSAGE, { key: publicKey, dsaEncoding: 'ieee-p1363' }, rs)).toBe(true);
}

describe.each([
  { outer: 'to an RSA parent', parent: NEW_PARENTS.rsa },
  { outer: 'to an ECC parent', parent: NEW_PARENTS.ecc },
  { outer: 'without an outer wrapper', parent: 0 },
])('keys $outer,', ({ parent }) => {
  describe.each([
    { inner: 'without an inner wrapper', hasInner: false },
    { inner: 'in an inner wrapper of AES-128', hasInner: true },
  ])('$inner:', ({ hasInner }) => {
    const wrapping = { parent, hasInner };
    const target = parent === 0 ? NEW_PARENTS.ecc : parent;

    test('one of tpm2_duplicate is imported by Import', async () => {
      await duplicateByTool('key', wrapping, ['policycommandcode', 'TPM2_CC_Duplicate']);
      await importByClient('key', target, hasInner);
      await expectSigns('client', target, toSpki(await readArea(shared, 'key')));
    });

    test('one of Duplicate is imported by tpm2_import', async () => {
      await duplicateByClient('key', wrapping, (io, policySession) =>
        run(io, PolicyCommandCode, { handles: { policySession }, parameters: { code: Duplicate.code } }),
      );
      await importByTool('key', target, hasInner);
      await expectSigns('tool', target, toSpki(await readArea(shared, 'key')));
    });
  });
});

describe('keys for one new parent only, by PolicyDuplicationSelect:', () => {
  let newParent: TpmKey;
  const wrapping = { parent: NEW_PARENTS.ecc, hasInner: false };

  beforeAll(async () => {
    newParent = await shared.client((tpm) => tpm.readPublic(NEW_PARENTS.ecc));
    await shared.write('parent.name', newParent.name);
    await createKey('tied', policyDigest([{ type: 'duplication-select', newParentName: newParent.name }]));
    const area = await readArea(shared, 'tied');
    await shared.write('tied.name', nameOf(encodePublicArea(area)));
  });

  test('one of tpm2_duplicate is imported by Import', async () => {
    await duplicateByTool('tied', wrapping, [
      'policyduplicationselect',
      '-N',
      'parent.name',
      '-n',
      'tied.name',
    ]);
    await importByClient('tied', wrapping.parent, false);
    await expectSigns('client', wrapping.parent, toSpki(await readArea(shared, 'tied')));
  });

  test('one of Duplicate is imported by tpm2_import, and there is none for another parent', async () => {
    const assert = (io: TpmIo, policySession: Session, object: TpmKey): Promise<unknown> =>
      run(io, PolicyDuplicationSelect, {
        handles: { policySession },
        parameters: { objectName: object.name, newParentName: newParent.name, includeObject: false },
      });
    await duplicateByClient('tied', wrapping, assert);
    await importByTool('tied', wrapping.parent, false);
    await expectSigns('tool', wrapping.parent, toSpki(await readArea(shared, 'tied')));
    const elsewhere = duplicateByClient('tied', { ...wrapping, parent: NEW_PARENTS.rsa }, assert);
    await expect(elsewhere).rejects.toMatchObject({ data: { name: 'POLICY_FAIL (session 1)' } });
  });
});

describe('keys from outside a TPM:', () => {
  const outside = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = new Uint8Array(outside.publicKey.export({ format: 'der', type: 'spki' }));

  beforeAll(async () => {
    await shared.write('outside.pem', outside.privateKey.export({ format: 'pem', type: 'sec1' }));
  });

  test('one wrapped by tpm2_import in software is loaded by Load', async () => {
    await shared.tool(
      'import',
      '-C',
      hexHandle(PARENT),
      '-G',
      'ecc',
      '-i',
      'outside.pem',
      ...filesOf('imported'),
    );
    await expectSigns('client', PARENT, spki);
  });

  test('one wrapped by tpm2_duplicate in software is imported by Import', async () => {
    await shared.tool('readpublic', '-c', hexHandle(NEW_PARENTS.ecc), '-o', 'parent.pub');
    const files = ['-u', 'wrapped.pub', '-r', 'duplicate', '-s', 'seed'];
    await shared.tool('duplicate', '-U', 'parent.pub', '-G', 'ecc', '-k', 'outside.pem', ...files);
    await importByClient('wrapped', NEW_PARENTS.ecc, false);
    await expectSigns('client', NEW_PARENTS.ecc, spki);
  });

  test('one that Import takes unwrapped is loaded by tpm2_load', async () => {
    const jwk = outside.privateKey.export({ format: 'jwk' });
    const number = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'));
    const { sign, userWithAuth } = OBJECT_ATTRIBUTE;
    const objectPublic = { ...template(sign | userWithAuth), x: number(jwk.x), y: number(jwk.y) };
    const sensitive = {
      sensitiveType: ALG.ecc,
      authValue: EMPTY,
      seedValue: EMPTY,
      sensitive: number(jwk.d),
    };
    const duplicate = encode(sized('sensitive', tpmtSensitive), sensitive);
    const { outPrivate } = await shared.client((tpm) =>
      tpm.run(Import, {
        handles: { parentHandle: PARENT },
        parameters: { objectPublic, duplicate, symmetricAlg: undefined },
      }),
    );
    await writeObject(shared, 'imported', { outPublic: objectPublic, outPrivate });
    await expectSigns('tool', PARENT, spki);
  });
});
