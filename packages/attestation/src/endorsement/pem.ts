import { AttestationError } from '../errors.ts';

const PEM = /-----BEGIN ([A-Z0-9 ]{1,32})-----([A-Za-z0-9+/=\s]*)-----END \1-----/g;
const PEM_BYTES_MAX = 8 * 1024 * 1024;
const BLOCKS_MAX = 1024;
const DER_SEQUENCE = 0x30;

/**
 * What a file of certificates or CRLs holds: one in DER, or PEM blocks of that label; other blocks are passed over.
 * Throws `PEM_INVALID` when it holds none.
 */
export function parsePem(bytes: Uint8Array, label: 'CERTIFICATE' | 'X509 CRL'): Uint8Array[] {
  if (bytes.length > PEM_BYTES_MAX) throw invalid(`got ${bytes.length} bytes, want at most ${PEM_BYTES_MAX}`);
  if (bytes[0] === DER_SEQUENCE) return [bytes];
  const blocks: Uint8Array[] = [];
  for (const [, kind, base64 = ''] of new TextDecoder().decode(bytes).matchAll(PEM)) {
    if (kind !== label) continue;
    if (blocks.length === BLOCKS_MAX) throw invalid(`more than ${BLOCKS_MAX} blocks`);
    blocks.push(fromBase64(base64));
  }
  if (blocks.length === 0) throw invalid(`neither DER nor a PEM block of a ${label}`);
  return blocks;
}

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text.replace(/\s/g, '')), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw invalid('not base64', cause); // atob reports it only by throwing
  }
}

function invalid(message: string, cause?: unknown): AttestationError {
  return new AttestationError('PEM_INVALID', `PEM: ${message}`, { cause });
}
