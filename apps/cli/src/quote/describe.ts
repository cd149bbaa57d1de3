import { bankName, type SigningKey } from '@nemea/attestation/quote';
import { toHex } from '@nemea/core';
import {
  type Attest,
  CURVE,
  nameOf,
  OBJECT_ATTRIBUTE,
  type PcrSelection,
  type PublicArea,
  TpmError,
  type TpmSignature,
} from '@nemea/tpm/structures';

/** A TPM structure as JSON: bytes in hex, 64-bit numbers as decimal text, algorithms by name. */
export type Described = Readonly<Record<string, unknown>>;

export function describeAttest(attest: Attest): Described {
  const { type, qualifiedSigner, extraData, clockInfo, firmwareVersion, ...body } = attest;
  return {
    type,
    nonce: toHex(extraData),
    extraData: toHex(extraData),
    ...describeFields(clockInfo),
    firmwareVersion: firmwareVersion.toString(),
    qualifiedSigner: toHex(qualifiedSigner),
    ...describeFields(body),
  };
}

export function describeSignature(signature: TpmSignature): Described {
  const { scheme, ...rest } = signature;
  const hash = 'hashAlg' in rest ? { hash: bankName(rest.hashAlg) } : {};
  const numbers = Object.entries(rest).filter(([name]) => name !== 'hashAlg' && name !== 'rs');
  return { scheme, ...hash, ...describeFields(Object.fromEntries(numbers)) };
}

export function describeKey(key: SigningKey): Described {
  const size = key.type === 'rsa' ? `RSA-${8 * key.modulus.length}` : curveName(key.curve);
  return { key: size, spki: toHex(key.spki) };
}

export function describePublicArea(area: PublicArea, bytes: Uint8Array): Described {
  const { type, attributes, ...rest } = area;
  const set = Object.entries(OBJECT_ATTRIBUTE).filter(([, bit]) => (attributes & bit) !== 0);
  const curve = 'curve' in rest ? { curve: curveName(rest.curve) } : {};
  const attributeNames = set.map(([name]) => name).join(' ');
  return { type, name: nameText(bytes), attributes: attributeNames, ...describeFields(rest), ...curve };
}

/** Nothing where the name is by a hash that is not computed here. */
function nameText(bytes: Uint8Array): string {
  try {
    return toHex(nameOf(bytes));
  } catch (error) {
    if (error instanceof TpmError) return '';
    throw error;
  }
}

function curveName(curve: number): string {
  return Object.entries(CURVE).find(([, id]) => id === curve)?.[0] ?? `curve ${curve}`;
}

function describeFields(fields: object): Described {
  const known = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known.map(([name, value]) => describeField(name, value)));
}

function describeField(name: string, value: unknown): [string, unknown] {
  if (name === 'pcrSelections') return ['pcrSelection', bySelection(value as readonly PcrSelection[])];
  if (/Alg$/.test(name)) return [name.replace(/Alg$/, ''), bankName(Number(value))];
  if (value instanceof Uint8Array) return [name, toHex(value)];
  if (typeof value === 'bigint') return [name, value.toString()];
  if (typeof value === 'object' && value !== null) return [name, describeFields(value)];
  return [name, value];
}

function bySelection(selections: readonly PcrSelection[]): Described {
  return Object.fromEntries(selections.map(({ hashAlg, pcrs }) => [bankName(hashAlg), pcrs]));
}

const LABEL_COLUMNS = 17;
const VALUE_COLUMNS = 61;

/** One field a line, long values wrapped, for a terminal of 80 columns. */
export function textOf(described: Described): string {
  return Object.entries(described)
    .flatMap(([name, value]) => {
      const text = typeof value === 'object' && value !== null ? inline(value) : String(value);
      const lines = text.match(new RegExp(`.{1,${VALUE_COLUMNS}}`, 'g')) ?? [''];
      return lines.map((line, i) => `${(i === 0 ? name : '').padEnd(LABEL_COLUMNS)} ${line}`);
    })
    .join('\n');
}

function inline(value: object): string {
  return Object.entries(value)
    .map(
      ([name, it]) =>
        `${name}:${typeof it === 'object' && it !== null && !Array.isArray(it) ? inline(it) : it}`,
    )
    .join('+');
}
