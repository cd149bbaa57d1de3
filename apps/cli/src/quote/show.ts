import { AttestationError, parseSigningKey } from '@nemea/attestation/quote';
import { parseAttest, parsePublicArea, parseSignature, TpmError } from '@nemea/tpm/structures';
import { FileError } from '../files.ts';
import {
  type Described,
  describeAttest,
  describeKey,
  describePublicArea,
  describeSignature,
} from './describe.ts';
import { readSmall } from './files.ts';

/**
 * What a file of a TPM says, whichever structure it is: TPMS_ATTEST of any type, TPMT_SIGNATURE, TPMT_PUBLIC (each also
 * in a TPM2B) or a public key. Shown is not verified. Throws `FileError`.
 */
export function showFile(path: string): Described {
  const file = readSmall(path);
  const size = file.length < 2 ? -1 : new DataView(file.buffer, file.byteOffset).getUint16(0);
  const bodies = size === file.length - 2 ? [file, file.subarray(2)] : [file];
  const reads = bodies.flatMap((body) => STRUCTURES.map((read) => () => read(body)));
  for (const read of [...reads, () => showKey(file)]) {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof TpmError || error instanceof AttestationError)) throw error;
    }
  }
  throw new FileError(
    'FILE_UNREADABLE',
    `${path}: no TPMS_ATTEST, TPMT_SIGNATURE, TPMT_PUBLIC or public key, or one with bytes after its end`,
  );
}

const STRUCTURES: readonly ((bytes: Uint8Array) => Described)[] = [
  (bytes) => ({ structure: 'TPMS_ATTEST', ...describeAttest(parseAttest(bytes)) }),
  (bytes) => ({ structure: 'TPMT_SIGNATURE', ...describeSignature(parseSignature(bytes)) }),
  (bytes) => ({ structure: 'TPMT_PUBLIC', ...describePublicArea(parsePublicArea(bytes), bytes) }),
];

function showKey(file: Uint8Array): Described {
  return { structure: 'SubjectPublicKeyInfo', ...describeKey(parseSigningKey(file)) };
}
