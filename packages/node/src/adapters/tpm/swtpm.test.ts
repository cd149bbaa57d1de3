import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromUtf8, sha256, toHex } from '@nemea/core';
import { type Identity, makeCredential, nameOf, openIdentity, TEMPLATES, type Tpm } from '@nemea/tpm';
import { compressedPoint, parseAttest, parsePublicArea } from '@nemea/tpm/structures';
import { verifyVrf } from '@nemea/vrf';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { caCertificates, createDevnetCa } from './certificate-authority.ts';
import { openTpm } from './open-tpm.ts';
import { provisionSoftwareTpm, type SoftwareTpm, startSoftwareTpm } from './swtpm.ts';

const NONCE = sha256(fromUtf8('nonce'));
const SECRET = sha256(fromUtf8('credential'));

let dir = '';
let caDir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'swtpm-'));
  caDir = join(dir, 'ca');
  await createDevnetCa(caDir);
  // At once, on a CA without keys: one of them makes the CA, the others use it.
  const stateDirs = ['one', 'two', 'three'].map((name) => join(dir, name));
  await Promise.all(stateDirs.map((stateDir) => provisionSoftwareTpm({ stateDir, caDir })));
});
afterAll(() => rm(dir, { recursive: true }));

interface Node {
  readonly process: SoftwareTpm;
  readonly tpm: Tpm;
  readonly identity: Identity;
}

async function start(name: string): Promise<Node> {
  const process = await startSoftwareTpm({
    stateDir: join(dir, name),
    socketPath: join(dir, `${name}.sock`),
  });
  const tpm = await openTpm({ kind: 'swtpm', socketPath: process.socketPath });
  return { process, tpm, identity: await openIdentity(tpm) };
}

async function stop({ process, tpm }: Node): Promise<void> {
  await tpm.close();
  await process.stop();
}

describe('the devnet CA', () => {
  it('is in a folder for its owner alone', async () => {
    expect((await stat(caDir)).mode & 0o777).toBe(0o700);
  });

  it('certifies every endorsement key through one root', async () => {
    const { root, intermediate } = await caCertificates(caDir);
    const rootCertificate = new X509Certificate(root);
    const issuer = new X509Certificate(intermediate);
    expect(rootCertificate.verify(rootCertificate.publicKey)).toBe(true);
    expect(issuer.verify(rootCertificate.publicKey)).toBe(true);
    for (const name of ['one', 'two', 'three']) {
      const node = await start(name);
      expect(new X509Certificate(node.identity.ekCertificate).verify(issuer.publicKey)).toBe(true);
      await stop(node);
    }
  });

  it('says that it has no certificate before the first TPM', async () => {
    await createDevnetCa(join(dir, 'empty-ca'));
    await expect(caCertificates(join(dir, 'empty-ca'))).rejects.toMatchObject({ code: 'SWTPM_CA_INVALID' });
  });
});

describe('an identity', () => {
  let one: Node;
  beforeEach(async () => {
    one = await start('one');
  });
  afterEach(() => stop(one));

  it('is different for each TPM', async () => {
    const two = await start('two');
    for (const key of ['ekPublic', 'akPublic', 'vrfPublic'] as const) {
      expect(toHex(two.identity[key])).not.toBe(toHex(one.identity[key]));
    }
    await stop(two);
  });

  it('survives a restart, with the reset counted and the clock safe after an orderly stop', async () => {
    const before = parseAttest((await one.identity.getTime(NONCE)).attest);
    const { ekPublic, ekCertificate, akPublic, akName, vrfPublic } = one.identity;
    const { beta } = await one.identity.vrfProve(NONCE);
    await stop(one);
    one = await start('one');
    expect(one.identity).toMatchObject({ ekPublic, ekCertificate, akPublic, akName, vrfPublic });
    expect(toHex((await one.identity.vrfProve(NONCE)).beta)).toBe(toHex(beta));
    const after = parseAttest((await one.identity.getTime(NONCE)).attest);
    expect(after.clockInfo.resetCount).toBe(before.clockInfo.resetCount + 1);
    expect(after.clockInfo.safe).toBe(true);
    expect(after.clockInfo.clock).toBeGreaterThanOrEqual(before.clockInfo.clock);
  });

  it('activates a credential made for it', async () => {
    const { ekPublic, akName } = one.identity;
    expect(toHex(await one.identity.activateCredential(makeCredential(ekPublic, akName, SECRET)))).toBe(
      toHex(SECRET),
    );
  });

  it('has as endorsement key the very key that the template gives', async () => {
    const made = await one.tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ek });
    expect(toHex(made.publicArea)).toBe(toHex(one.identity.ekPublic));
    await one.tpm.flush(made.handle);
  });

  it('refuses a credential made for another attestation key or another TPM', async () => {
    const two = await start('two');
    const forOtherAk = makeCredential(one.identity.ekPublic, two.identity.akName, SECRET);
    const forOtherTpm = makeCredential(two.identity.ekPublic, one.identity.akName, SECRET);
    for (const credential of [forOtherAk, forOtherTpm]) {
      await expect(one.identity.activateCredential(credential)).rejects.toMatchObject({
        code: 'TPM_CREDENTIAL_REFUSED',
      });
    }
    await stop(two);
  });

  it('takes a credential for the P-384 endorsement key too', async () => {
    const ek = await one.tpm.readPublic(0x81010016);
    const { credentialBlob, encryptedSecret } = makeCredential(ek.publicArea, one.identity.akName, SECRET);
    expect(credentialBlob).toHaveLength(84);
    const ak = await one.tpm.createPrimary({
      hierarchy: 'endorsement',
      template: TEMPLATES.ak,
    });
    const sized = (bytes: Uint8Array): number[] => [bytes.length >> 8, bytes.length & 255, ...bytes];
    const { parameters } = await one.tpm.exclusive((io) =>
      io.send({
        name: 'ActivateCredential',
        code: 0x147,
        handles: [ak.handle, ek.handle],
        // This key has userWithAuth set: its empty password is enough.
        authorizations: ['password', 'password'],
        parameters: Uint8Array.from([...sized(credentialBlob), ...sized(encryptedSecret)]),
      }),
    );
    expect(toHex(parameters)).toBe(`0020${toHex(SECRET)}`);
  });

  it('certifies its vrf key by name, and proves outputs a verifier accepts', async () => {
    const { attest } = await one.identity.certifyVrf(NONCE);
    expect(parseAttest(attest)).toMatchObject({ type: 'certify', name: nameOf(one.identity.vrfPublic) });
    const area = parsePublicArea(one.identity.vrfPublic);
    if (area.type !== 'ecc') throw new Error('want an ecc key');
    for (let i = 0; i < 20; i++) {
      const alpha = sha256(Uint8Array.of(i));
      const { beta, proof } = await one.identity.vrfProve(alpha);
      expect(toHex(verifyVrf(compressedPoint(area), alpha, proof))).toBe(toHex(beta));
    }
  });

  it('proves only 32-byte hashes', async () => {
    await expect(one.identity.vrfProve(new Uint8Array(31))).rejects.toMatchObject({
      code: 'TPM_ARGUMENT_INVALID',
    });
  });

  it('keeps one object loaded whatever it did fifty times, and none once closed', async () => {
    const { ekPublic, akName } = one.identity;
    for (let i = 0; i < 50; i++) {
      await one.identity.quote({ qualifyingData: NONCE, pcrs: [0, 14] });
      await one.identity.certifyVrf(NONCE);
      await one.identity.vrfProve(NONCE);
      await one.identity.activateCredential(makeCredential(ekPublic, akName, SECRET));
      const wrong = makeCredential(ekPublic, nameOf(ekPublic), SECRET);
      await expect(one.identity.activateCredential(wrong)).rejects.toMatchObject({
        code: 'TPM_CREDENTIAL_REFUSED',
      });
    }
    expect(await one.tpm.listHandles('transient')).toHaveLength(1);
    // The session that hides secrets on the wire, and no other.
    expect(await one.tpm.listHandles('loadedSession')).toHaveLength(1);
    await one.identity.close();
    expect(await one.tpm.listHandles('transient')).toHaveLength(0);
  });

  it('is refused to a TPM without an endorsement certificate', async () => {
    const process = await startSoftwareTpm({
      stateDir: await blankState(),
      socketPath: join(dir, 'blank.sock'),
    });
    const tpm = await openTpm({ kind: 'swtpm', socketPath: process.socketPath });
    await expect(openIdentity(tpm)).rejects.toMatchObject({ code: 'TPM_EK_CERTIFICATE_MISSING' });
    await tpm.close();
    await process.stop();
  });

  async function blankState(): Promise<string> {
    return await mkdtemp(join(dir, 'blank-'));
  }
});

describe('a software TPM process', () => {
  it('keeps its keys when provisioned again', async () => {
    const before = await start('three');
    await stop(before);
    await provisionSoftwareTpm({ stateDir: join(dir, 'three'), caDir });
    const after = await start('three');
    expect(toHex(after.identity.ekPublic)).toBe(toHex(before.identity.ekPublic));
    await stop(after);
  });

  it('refuses a socket path the kernel would cut', async () => {
    const socketPath = join(dir, 'a'.repeat(107));
    await expect(startSoftwareTpm({ stateDir: join(dir, 'one'), socketPath })).rejects.toMatchObject({
      code: 'TPM_CHANNEL_PATH_TOO_LONG',
    });
  });

  it('says why it does not start', async () => {
    const start = startSoftwareTpm({ stateDir: join(dir, 'nothing-here'), socketPath: join(dir, 'x.sock') });
    await expect(start).rejects.toMatchObject({ code: 'SWTPM_START_FAILED' });
  });

  it('serves one process at a time from one state folder', async () => {
    const first = await start('two');
    const second = startSoftwareTpm({ stateDir: join(dir, 'two'), socketPath: join(dir, 'second.sock') });
    await expect(second).rejects.toMatchObject({ code: 'SWTPM_START_FAILED' });
    await first.tpm.pcrRead([0]);
    await stop(first);
  });

  it('says why it cannot be provisioned', async () => {
    const provisioning = provisionSoftwareTpm({ stateDir: join(dir, 'four'), caDir: join(dir, 'no-ca') });
    await expect(provisioning).rejects.toMatchObject({ code: 'SWTPM_PROVISIONING_FAILED' });
    expect((await readdir(dir)).filter((name) => name.startsWith('four'))).toEqual([]);
  });

  it('tells its owner when it ends, and leaves no socket', async () => {
    const node = await start('one');
    await stop(node);
    expect(await node.process.exited).toMatchObject({ code: 0 });
    expect(existsSync(node.process.socketPath)).toBe(false);
  });

  it('stops although a client still holds the connection', async () => {
    const node = await start('one');
    await node.process.stop();
    await expect(node.tpm.pcrRead([0])).rejects.toMatchObject({ code: 'TPM_CHANNEL_FAILED' });
  });

  it('ends with the process that started it, even a killed one', async () => {
    const script = `
      const { startSoftwareTpm } = await import(${JSON.stringify(new URL('./swtpm.ts', import.meta.url).href)});
      const tpm = await startSoftwareTpm(${JSON.stringify({ stateDir: join(dir, 'three'), socketPath: join(dir, 'child.sock') })});
      console.log(tpm.pid);
      setInterval(() => undefined, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(parent.stdout, 'data');
    const pid = Number(String(line));
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    for (let poll = 0; poll < 1000 && isAlive(pid); poll++) await sleep(10);
    expect(isAlive(pid)).toBe(false);
  });

  function isAlive(pid: number): boolean {
    return existsSync(`/proc/${pid}/exe`);
  }
});

describe('opening a device', () => {
  it('says which device is missing', async () => {
    await expect(openTpm({ kind: 'device', path: join(dir, 'tpmrm0') })).rejects.toMatchObject({
      code: 'TPM_CHANNEL_FAILED',
    });
  });
});
