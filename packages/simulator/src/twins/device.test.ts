import { createEd25519Verifier } from '@nemea/consensus/ed25519';
import { errorCode, fromUtf8, sha256 } from '@nemea/core';
import type { Device } from '@nemea/node/ports';
import { deviceCompliance } from '@nemea/node/ports/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { Kernel } from '../kernel/kernel.ts';
import { machineOf, openSimulatedDevice } from './device.ts';
import { Life } from './life.ts';
import { drive as driveKernel } from './testing.ts';
import { SimulatedTpm } from './tpm.ts';

describe('a simulated device', () => {
  let kernel: Kernel;
  let tpm: SimulatedTpm;
  let device: Device;

  const drive = <T>(work: Promise<T>): Promise<T> => driveKernel(kernel, work);
  const open = () =>
    openSimulatedDevice({
      machine: machineOf('n0', 1),
      tpm,
      release: { digest: sha256(fromUtf8('release')), name: 'release' },
      life: new Life(),
      verifySignature: createEd25519Verifier(),
    });

  beforeEach(async () => {
    kernel = new Kernel('device');
    tpm = new SimulatedTpm(kernel, 'n0');
    device = await drive(open());
  });

  for (const { title, run } of deviceCompliance(
    () => device,
    () => Date.UTC(2026, 5, 1),
  ))
    it(title, () => drive(Promise.resolve().then(run)));

  it('is lost with a reset of its TPM, and measures its software anew when it is opened again', async () => {
    tpm.reset();
    expect((await device.lost).code).toBe('TPM_GONE');
    const code = await drive(device.identity.vrfProve(sha256(fromUtf8('a'))).catch(errorCode));
    expect(code).toBe('TPM_GONE');
    device = await drive(open());
    expect(device.measured.events).toHaveLength(1);
  });

  it('answers nothing while its TPM is locked out', async () => {
    tpm.lockOut(1_000);
    const prove = () => drive(device.identity.vrfProve(sha256(fromUtf8('a'))).then(() => 'OK', errorCode));
    expect(await prove()).toBe('TPM_LOCKED_OUT');
    await kernel.runUntil(kernel.nowMs + 2_000);
    expect(await prove()).toBe('OK');
  });

  it('cannot be opened twice without a reset between: the register would hold more than the log', async () => {
    expect(await drive(open().then(() => 'OK', errorCode))).toBe('MEASURED_LOG_MISMATCH');
  });
});
