import { bytes } from '../structures/codec.ts';
import { digest, encryptedSecret, name } from './buffers.ts';
import { command } from './command.ts';

/** TPM2B_ID_OBJECT: an HMAC and an encrypted digest, each with its length. */
const idObject = bytes('id object', 132);

/** Recovers the secret that was encrypted to this EK for the object with this name. */
export const ActivateCredential = command('ActivateCredential', 0x147, {
  handles: { activateHandle: 'admin', keyHandle: 'user' },
  parameters: { credentialBlob: idObject, secret: encryptedSecret },
  response: { certInfo: digest },
});
/**
 * Encrypts a secret to an EK for the object with this name; needs no secret of the TPM's, and is done without one by
 * `makeCredential`.
 */
export const MakeCredential = command('MakeCredential', 0x168, {
  handles: { handle: 'none' },
  parameters: { credential: digest, objectName: name },
  response: { credentialBlob: idObject, secret: encryptedSecret },
});
