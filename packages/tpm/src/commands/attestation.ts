import { list, u16, u32 } from '../structures/codec.ts';
import { tpmtTkCreation } from '../structures/object.ts';
import { tpmlPcrSelection } from '../structures/pcr-selection.ts';
import { tpmtSigScheme } from '../structures/scheme.ts';
import { tpmtAnySignature } from '../structures/signature.ts';
import { attestation, buffer, digest, optionalData } from './buffers.ts';
import { command } from './command.ts';

/** Without `inScheme` the key signs by its own scheme. */
const signing = { qualifyingData: optionalData, inScheme: tpmtSigScheme };
const commandCodes = list('command codes', u32, 256);

/** An attestation key states that an object with this name is loaded in its TPM. */
export const Certify = command('Certify', 0x148, {
  handles: { objectHandle: 'admin', signHandle: 'user' },
  parameters: signing,
  response: { certifyInfo: attestation, signature: tpmtAnySignature },
});
/** An attestation key states that an object was made by its TPM with this creation data. */
export const CertifyCreation = command('CertifyCreation', 0x14a, {
  handles: { signHandle: 'user', objectHandle: 'none' },
  parameters: {
    qualifyingData: optionalData,
    creationHash: digest,
    inScheme: tpmtSigScheme,
    creationTicket: tpmtTkCreation,
  },
  response: { certifyInfo: attestation, signature: tpmtAnySignature },
});
/** Signs an X.509 certificate of an object, the rest of which the caller gives in DER. */
export const CertifyX509 = command('CertifyX509', 0x197, {
  handles: { objectHandle: 'admin', signHandle: 'user' },
  parameters: { reserved: optionalData, inScheme: tpmtSigScheme, partialCertificate: buffer },
  response: { addedToCertificate: buffer, tbsDigest: digest, signature: tpmtAnySignature },
});
/** An attestation key states the digest of PCR values over the caller's data. */
export const Quote = command('Quote', 0x158, {
  handles: { signHandle: 'user' },
  parameters: { ...signing, PCRselect: tpmlPcrSelection },
  response: { quoted: attestation, signature: tpmtAnySignature },
});
/** An attestation key states the TPM's clock, time and counts over the caller's data. */
export const GetTime = command('GetTime', 0x14c, {
  handles: { privacyAdminHandle: 'user', signHandle: 'user' },
  parameters: signing,
  response: { timeInfo: attestation, signature: tpmtAnySignature },
});
/** An attestation key states which commands ran in an audit session. */
export const GetSessionAuditDigest = command('GetSessionAuditDigest', 0x14d, {
  handles: { privacyAdminHandle: 'user', signHandle: 'user', sessionHandle: 'none' },
  parameters: signing,
  response: { auditInfo: attestation, signature: tpmtAnySignature },
});
/** An attestation key states which audited commands ran at all. */
export const GetCommandAuditDigest = command('GetCommandAuditDigest', 0x133, {
  handles: { privacyHandle: 'user', signHandle: 'user' },
  parameters: signing,
  response: { auditInfo: attestation, signature: tpmtAnySignature },
});
/** Which commands are audited, and by which hash. */
export const SetCommandCodeAuditStatus = command('SetCommandCodeAuditStatus', 0x140, {
  handles: { auth: 'user' },
  parameters: { auditAlg: u16, setList: commandCodes, clearList: commandCodes },
});
