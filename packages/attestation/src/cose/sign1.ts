/**
 * COSE_Sign1 (RFC 9052, 4.2): one signature over protected header and payload. Attestation Results and reference values
 * travel in it between organisations: relying parties read COSE everywhere, while EIP-712, which members sign votes with,
 * is for what layer 1 has to check.
 */
import { p256, p384 } from '@noble/curves/nist.js';
import { type Cbor, decodeTaggedCbor, encodeTaggedCbor, Tagged } from './cbor.ts';
import { CoseError } from './errors.ts';

export const TAG_COSE_SIGN1 = 18;
export const SIGN1_BYTES_MAX = 1 << 21;
const HEADER_ALGORITHM = 1;
const HEADER_CONTENT_TYPE = 3;
const HEADER_KEY_ID = 4;
const HEADER_CRITICAL = 2;

/** COSE algorithm identifiers (RFC 9053, 2.1): ECDSA with the hash that fits the curve. */
export const COSE_ALGORITHM = { es256: -7, es384: -35 } as const;
/** A signature algorithm that counts here. */
export type CoseAlgorithm = keyof typeof COSE_ALGORITHM;

/** What signs: a key in a TPM, a file or a service. `sign` hashes by the algorithm and returns r || s. */
export interface CoseSigner {
  readonly algorithm: CoseAlgorithm;
  readonly keyId?: Uint8Array | undefined;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** `publicKey` is the uncompressed or compressed point (SEC 1). */
export interface CoseVerifier {
  readonly algorithm: CoseAlgorithm;
  readonly publicKey: Uint8Array;
}

export interface Sign1Content {
  readonly contentType: string;
  readonly payload: Uint8Array;
  /** Further protected header parameters by label. */
  readonly header?: ReadonlyMap<Cbor, Cbor> | undefined;
}

export async function signSign1(signer: CoseSigner, content: Sign1Content): Promise<Uint8Array> {
  const header = new Map<Cbor, Cbor>([
    [HEADER_ALGORITHM, COSE_ALGORITHM[signer.algorithm]],
    [HEADER_CONTENT_TYPE, content.contentType],
    ...(signer.keyId === undefined ? [] : [[HEADER_KEY_ID, signer.keyId] as [Cbor, Cbor]]),
    ...(content.header ?? []),
  ]);
  const protectedHeader = encodeTaggedCbor(header);
  const signature = await signer.sign(toBeSigned(protectedHeader, content.payload));
  return encodeTaggedCbor(
    new Tagged(TAG_COSE_SIGN1, [protectedHeader, new Map(), content.payload, signature]),
  );
}

/** The payload, after its signature by `verifier` was found good. Throws `COSE_INVALID`, `COSE_SIGNATURE_WRONG` or `CBOR_MALFORMED`. */
export function verifySign1(
  bytes: Uint8Array,
  verifier: CoseVerifier,
  contentTypes: readonly string[],
): Uint8Array {
  const { protectedHeader, header, payload, signature } = parseSign1(bytes);
  // Also when the key would verify: an algorithm is chosen by the verifier, never by the message (RFC 9052, 11).
  if (header.get(HEADER_ALGORITHM) !== COSE_ALGORITHM[verifier.algorithm]) {
    throw new CoseError(
      'COSE_INVALID',
      `algorithm: got ${String(header.get(HEADER_ALGORITHM))}, want ${verifier.algorithm}`,
    );
  }
  const contentType = header.get(HEADER_CONTENT_TYPE);
  if (!contentTypes.some((wanted) => wanted === contentType)) {
    throw new CoseError(
      'COSE_INVALID',
      `content type: got ${JSON.stringify(contentType)}, want ${contentTypes.join(' or ')}`,
    );
  }
  if (header.has(HEADER_CRITICAL))
    throw new CoseError('COSE_INVALID', 'critical header parameters are not understood');
  if (!isSignature(verifier, signature, toBeSigned(protectedHeader, payload))) {
    throw new CoseError('COSE_SIGNATURE_WRONG', 'not a signature by the expected key');
  }
  return payload;
}

interface Sign1 {
  readonly protectedHeader: Uint8Array;
  readonly header: ReadonlyMap<Cbor, Cbor>;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

function parseSign1(bytes: Uint8Array): Sign1 {
  if (bytes.length > SIGN1_BYTES_MAX)
    throw invalid(`got ${bytes.length} bytes, want at most ${SIGN1_BYTES_MAX}`);
  const tagged = decodeTaggedCbor(bytes, [TAG_COSE_SIGN1]);
  const parts = tagged instanceof Tagged ? (tagged.value as Cbor) : tagged;
  if (!Array.isArray(parts) || parts.length !== 4) throw invalid('want an array of four');
  const [protectedHeader, unprotected, payload, signature] = parts as readonly Cbor[];
  if (
    !(protectedHeader instanceof Uint8Array) ||
    !(payload instanceof Uint8Array) ||
    !(signature instanceof Uint8Array)
  ) {
    throw invalid('protected header, payload and signature are byte strings');
  }
  if (!(unprotected instanceof Map)) throw invalid('the unprotected header is a map');
  const header = protectedHeader.length === 0 ? new Map<Cbor, Cbor>() : decodeTaggedCbor(protectedHeader, []);
  if (!(header instanceof Map)) throw invalid('the protected header is a map');
  return { protectedHeader, header, payload, signature };
}

/** Sig_structure (RFC 9052, 4.4). */
function toBeSigned(protectedHeader: Uint8Array, payload: Uint8Array): Uint8Array {
  return encodeTaggedCbor(['Signature1', protectedHeader, new Uint8Array(0), payload]);
}

function isSignature(verifier: CoseVerifier, signature: Uint8Array, message: Uint8Array): boolean {
  const curve = verifier.algorithm === 'es256' ? p256 : p384;
  try {
    // Signers of COSE do not normalise s; noble hashes by the curve's own algorithm, SHA-256 and SHA-384.
    return curve.verify(signature, message, verifier.publicKey, { lowS: false });
  } catch {
    return false; // not a signature's length, or not a point: such a signature verifies nothing
  }
}

function invalid(message: string): CoseError {
  return new CoseError('COSE_INVALID', `COSE_Sign1: ${message}`);
}
