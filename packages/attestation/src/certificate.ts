import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  SubjectAlternativeNameExtension,
  X509Certificate,
} from '@peculiar/x509';
import { AttestationError } from './errors.ts';

// The only importer of @peculiar/x509: that library needs reflect-metadata to be loaded before it.
export { KeyUsageFlags };

/** What an X.509 certificate (RFC 5280) says, before anything is checked. */
export interface Certificate {
  readonly der: Uint8Array;
  /** The subject, for messages. */
  readonly label: string;
  /** DER of the names: names are equal when these bytes are. */
  readonly subject: Uint8Array;
  readonly issuer: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKeySpki: Uint8Array;
  readonly signatureAlgorithm: string;
  readonly signatureHash: string;
  readonly extensions: readonly { readonly type: string; readonly critical: boolean }[];
  readonly isAuthority: boolean;
  readonly pathLength: number | undefined;
  /** `KeyUsageFlags`; null without the extension. */
  readonly keyUsage: number | null;
  readonly extendedKeyUsages: readonly string[];
  readonly alternativeName: AlternativeName | null;
}

export interface AlternativeName {
  readonly critical: boolean;
  /** The attributes of each directory name, by object identifier. */
  readonly directoryNames: readonly ReadonlyMap<string, readonly string[]>[];
}

const CERTIFICATE_BYTES_MAX = 8192;
const LABEL_CHARACTERS_MAX = 80;

/** Throws `EK_CHAIN_INVALID`. */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > CERTIFICATE_BYTES_MAX) {
    throw invalid(`got ${der.length} bytes, want at most ${CERTIFICATE_BYTES_MAX}`);
  }
  // The library ignores what follows the certificate.
  if (der.length !== sequenceBytes(der)) throw invalid('not exactly one DER sequence');
  try {
    return read(new X509Certificate(new Uint8Array(der)), der);
  } catch (cause) {
    // The library parses each part when it is asked for, and throws plain errors.
    throw invalid('not a certificate', cause);
  }
}

function read(certificate: X509Certificate, der: Uint8Array): Certificate {
  const constraints = certificate.getExtension(BasicConstraintsExtension);
  return {
    der,
    label: `certificate ${JSON.stringify(certificate.subject.slice(0, LABEL_CHARACTERS_MAX))}`,
    subject: new Uint8Array(certificate.subjectName.toArrayBuffer()),
    issuer: new Uint8Array(certificate.issuerName.toArrayBuffer()),
    notBeforeMs: certificate.notBefore.getTime(),
    notAfterMs: certificate.notAfter.getTime(),
    publicKeySpki: new Uint8Array(certificate.publicKey.rawData),
    signatureAlgorithm: certificate.signatureAlgorithm.name,
    signatureHash: certificate.signatureAlgorithm.hash.name,
    extensions: certificate.extensions.map(({ type, critical }) => ({ type, critical })),
    isAuthority: constraints?.ca ?? false,
    pathLength: constraints?.pathLength,
    keyUsage: certificate.getExtension(KeyUsagesExtension)?.usages ?? null,
    extendedKeyUsages: (certificate.getExtension(ExtendedKeyUsageExtension)?.usages ?? []).map(String),
    alternativeName: readAlternativeName(certificate),
  };
}

function readAlternativeName(certificate: X509Certificate): AlternativeName | null {
  const extension = certificate.getExtension(SubjectAlternativeNameExtension);
  if (extension === null) return null;
  const names = extension.names.items.filter(({ type }) => type === 'dn');
  return {
    critical: extension.critical,
    directoryNames: names.map(({ value }) => readAttributes(new Name(value))),
  };
}

function readAttributes(name: Name): ReadonlyMap<string, readonly string[]> {
  const attributes = new Map<string, readonly string[]>();
  for (const set of name.toJSON()) {
    for (const [oid, values] of Object.entries(set)) {
      attributes.set(oid, [...(attributes.get(oid) ?? []), ...values]);
    }
  }
  return attributes;
}

/** The length of a DER sequence with its header; 0 when the bytes do not start with one. */
function sequenceBytes(der: Uint8Array): number {
  const [tag, first = 0, second = 0, third = 0] = der;
  if (tag !== 0x30) return 0;
  if (first < 0x80) return 2 + first;
  if (first === 0x81 && second >= 0x80) return 3 + second;
  if (first === 0x82 && second > 0) return 4 + second * 256 + third;
  return 0;
}

function invalid(message: string, cause?: unknown): AttestationError {
  return new AttestationError('EK_CHAIN_INVALID', `certificate: ${message}`, { cause });
}
