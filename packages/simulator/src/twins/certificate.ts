import { concatBytes, fromHex, fromUtf8, hashDomain, sha256 } from '@nemea/core';
import { p256 } from '@noble/curves/nist.js';

/**
 * A maker of simulated TPMs: writes the endorsement certificates of the TCG EK Credential Profile. Certificates and
 * signatures follow from the names, so that one world has one trace.
 */

const TAG = { boolean: 0x01, integer: 0x02, bits: 0x03, octets: 0x04, oid: 0x06, utf8: 0x0c, time: 0x17 };
const SEQUENCE = 0x30;
const SET = 0x31;
const [VERSION, EXTENSIONS, DIRECTORY_NAME] = [0xa0, 0xa3, 0xa4];
/** Object identifiers, in DER already. */
const OID = {
  ecdsaWithSha256: '06082a8648ce3d040302',
  ecPublicKey: '06072a8648ce3d0201',
  p256: '06082a8648ce3d030107',
  commonName: '0603550403',
  alternativeName: '0603551d11',
  basicConstraints: '0603551d13',
  keyUsage: '0603551d0f',
  extendedKeyUsage: '0603551d25',
  tpmManufacturer: '06056781050201',
  tpmModel: '06056781050202',
  tpmVersion: '06056781050203',
  ekCertificate: '06056781050801',
};
const VALIDITY = der(SEQUENCE, text(TAG.time, '260101000000Z'), text(TAG.time, '360101000000Z'));
const ALGORITHM = der(SEQUENCE, fromHex(OID.ecdsaWithSha256));

/** The papers of an endorsement key (DER of its SPKI): its certificate, then its maker's root. */
export function endorse(ekSpki: Uint8Array, maker: string): readonly Uint8Array[] {
  const extensions = [
    extension(OID.basicConstraints, der(SEQUENCE)),
    extension(OID.keyUsage, der(TAG.bits, Uint8Array.of(3, 0x08))), // keyAgreement
    extension(OID.extendedKeyUsage, der(SEQUENCE, fromHex(OID.ekCertificate))),
    extension(OID.alternativeName, der(SEQUENCE, der(DIRECTORY_NAME, TPM_NAME))),
  ];
  return [certificate({ maker, subject: der(SEQUENCE), spki: ekSpki, extensions }), rootOf(maker)];
}

/** The certificate of a maker, which layer 1 approves by its digest. */
export function rootOf(maker: string): Uint8Array {
  const extensions = [
    extension(OID.basicConstraints, der(SEQUENCE, der(TAG.boolean, Uint8Array.of(0xff)))),
    extension(OID.keyUsage, der(TAG.bits, Uint8Array.of(2, 0x04))), // keyCertSign
  ];
  const point = p256.getPublicKey(secretOf(maker), false);
  const algorithm = der(SEQUENCE, fromHex(OID.ecPublicKey), fromHex(OID.p256));
  const spki = der(SEQUENCE, algorithm, der(TAG.bits, Uint8Array.of(0), point));
  return certificate({ maker, subject: nameOf(maker), spki, extensions });
}

interface Subject {
  readonly maker: string;
  readonly subject: Uint8Array;
  readonly spki: Uint8Array;
  readonly extensions: readonly Uint8Array[];
}

/** RFC 5280, 4.1, version 3. */
function certificate({ maker, subject, spki, extensions }: Subject): Uint8Array {
  const toBeSigned = der(
    SEQUENCE,
    der(VERSION, der(TAG.integer, Uint8Array.of(2))),
    der(TAG.integer, Uint8Array.of(1), sha256(spki).subarray(0, 8)),
    ALGORITHM,
    nameOf(maker),
    VALIDITY,
    subject,
    spki,
    der(EXTENSIONS, der(SEQUENCE, ...extensions)),
  );
  const signature = p256.sign(toBeSigned, secretOf(maker), { lowS: false, format: 'der' });
  return der(SEQUENCE, toBeSigned, ALGORITHM, der(TAG.bits, Uint8Array.of(0), signature));
}

function secretOf(maker: string): Uint8Array {
  return hashDomain('simulated maker', fromUtf8(maker));
}

function nameOf(maker: string): Uint8Array {
  return der(SEQUENCE, attribute(OID.commonName, maker));
}

/** TCG EK Credential Profile, 3.2.9. IBM's identifier: a software TPM does not pass for hardware. */
const TPM_NAME = der(
  SEQUENCE,
  attribute(OID.tpmManufacturer, 'id:00001014'),
  attribute(OID.tpmModel, 'simulated'),
  attribute(OID.tpmVersion, 'id:00000001'),
);

function attribute(oid: string, value: string): Uint8Array {
  return der(SET, der(SEQUENCE, fromHex(oid), text(TAG.utf8, value)));
}

function extension(oid: string, value: Uint8Array): Uint8Array {
  return der(SEQUENCE, fromHex(oid), der(TAG.boolean, Uint8Array.of(0xff)), der(TAG.octets, value));
}

function text(tag: number, value: string): Uint8Array {
  return der(tag, fromUtf8(value));
}

/** One value of DER, shorter than 64 KiB. */
function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...contents);
  const size = content.length;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return concatBytes(Uint8Array.of(tag, ...length), content);
}
