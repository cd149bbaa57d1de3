import { generateKeyPairSync, sign } from 'node:crypto';
import { concatBytes, fromHex, toHex } from '@nemea/core';
import { readDer, type Tree, writeDer } from './tree.ts';

/**
 * An authority that signs whatever it is given, so that changed certificates are still well signed and reach the checks
 * behind the signature. Its own certificate is one that a real authority made, with another key and name.
 */
export interface Authority {
  readonly certificate: Uint8Array;
  /** A Certificate around a TBSCertificate. */
  readonly issue: (toBeSigned: Uint8Array) => Uint8Array;
}

// ecdsa-with-SHA256 (RFC 5758, 3.2).
const ALGORITHM = fromHex('300a06082a8648ce3d040302');
// Key usage, critical (RFC 5280, 4.2.1.3): keyCertSign alone, and with cRLSign.
const MAY_SIGN_CERTIFICATES = '0603551d0f0101ff040403020204';
const MAY_SIGN_LISTS_TOO = '0603551d0f0101ff040403020106';
// TBSCertificate (RFC 5280, 4.1): version, serial, signature, issuer, validity, subject, key.
const FIELD = { signature: 2, issuer: 3, subject: 5, key: 6 } as const;

export function createAuthority(like: Uint8Array): Authority {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const issue = (toBeSigned: Uint8Array): Uint8Array => {
    const signature = sign('sha256', toBeSigned, privateKey);
    const parts = [toBeSigned, ALGORITHM, primitive(0x03, concatBytes(Uint8Array.of(0), signature))];
    return primitive(0x30, concatBytes(...parts));
  };
  const own = toBeSignedOf(like);
  const name = field(own, FIELD.subject);
  const toBeSigned = toHex(changed(own, { issuer: name, key: readDer(spki) }));
  return {
    certificate: issue(fromHex(toBeSigned.replace(MAY_SIGN_CERTIFICATES, MAY_SIGN_LISTS_TOO))),
    issue,
  };
}

/** The TBSCertList of `list`, as if `authority` had issued it (RFC 5280, 5.1: version, signature, issuer). */
export function reissuedList(list: Uint8Array, authority: Authority): Uint8Array {
  const toBeSigned = toBeSignedOf(list);
  const [version, , , ...rest] = toBeSigned.children ?? [];
  const issuer = field(toBeSignedOf(authority.certificate), FIELD.subject);
  return writeDer({ ...toBeSigned, children: [version ?? issuer, readDer(ALGORITHM), issuer, ...rest] });
}

/** The TBSCertificate of `certificate`, as if `authority` had issued it. */
export function reissued(certificate: Uint8Array, authority: Authority): Uint8Array {
  const issuer = field(toBeSignedOf(authority.certificate), FIELD.subject);
  return changed(toBeSignedOf(certificate), { issuer });
}

function changed(toBeSigned: Tree, changes: { readonly [K in keyof typeof FIELD]?: Tree }): Uint8Array {
  const children = [...(toBeSigned.children ?? [])];
  const all = { ...changes, signature: readDer(ALGORITHM) };
  for (const [name, tree] of Object.entries(all)) children[FIELD[name as keyof typeof FIELD]] = tree;
  return writeDer({ ...toBeSigned, children });
}

function toBeSignedOf(certificate: Uint8Array): Tree {
  const [toBeSigned] = readDer(certificate).children ?? [];
  if (toBeSigned === undefined) throw new Error('no certificate');
  return toBeSigned;
}

function field({ children }: Tree, index: number): Tree {
  const tree = children?.[index];
  if (tree === undefined) throw new Error('no such field');
  return tree;
}

function primitive(kind: number, content: Uint8Array): Uint8Array {
  return writeDer({ kind, value: 0n, content, children: null });
}
