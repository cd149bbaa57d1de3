import { type EncryptionOptions, openDeviceChannel, openUnixChannel, Tpm } from '@nemea/tpm';

/** Where a node's TPM is: the socket of a software TPM that runs already, or a kernel device. */
export type TpmLocation =
  | { readonly kind: 'swtpm'; readonly socketPath: string }
  | { readonly kind: 'device'; readonly path: string };

/**
 * Opens a TPM and locks its platform hierarchy, whose empty password could set the clock. The kernel's resource manager
 * behind /dev/tpmrm0 frees slots by itself, and its firmware has locked the platform before the kernel ran.
 *
 * It is given one channel and never finds a lost TPM again: a TPM that was started anew has forgotten what was measured
 * into it, and a machine that went on would attest what nobody measured.
 */
export async function openTpm(location: TpmLocation, encryption: EncryptionOptions = {}): Promise<Tpm> {
  if (location.kind === 'device') {
    return await Tpm.open(await openDeviceChannel(location.path), { flushLeftovers: false, encryption });
  }
  const tpm = await Tpm.open(await openUnixChannel(location.socketPath), { encryption });
  try {
    await tpm.lockPlatform();
    return tpm;
  } catch (error) {
    await tpm.close();
    throw error;
  }
}
