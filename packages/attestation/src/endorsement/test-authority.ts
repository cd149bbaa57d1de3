import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  GeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  X509CrlGenerator,
} from '@peculiar/x509';

/** For tests: certificates and CRLs of any shape, made by a library that shares no code with what reads them here. */
export type Pair = { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey };

export const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
export const EK_USAGE = '2.23.133.8.1';
export const NOW_MS = Date.UTC(2026, 5, 1);
const FROM = new Date(Date.UTC(2026, 0, 1));
const UNTIL = new Date(Date.UTC(2027, 0, 1));

export interface CertificateOptions {
  readonly issuer: string;
  readonly subject: string;
  readonly signer: Pair;
  readonly key: Pair;
  readonly extensions: Extension[];
  readonly serial?: string;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export async function certificate(options: CertificateOptions): Promise<Uint8Array> {
  const made = await X509CertificateGenerator.create({
    serialNumber: options.serial ?? '01',
    issuer: options.issuer,
    subject: options.subject,
    notBefore: options.notBefore ?? FROM,
    notAfter: options.notAfter ?? UNTIL,
    signingAlgorithm: EC,
    publicKey: options.key.publicKey,
    signingKey: options.signer.privateKey,
    extensions: options.extensions,
  });
  return new Uint8Array(made.rawData);
}

export interface CrlOptions {
  readonly issuer: string;
  readonly signer: Pair;
  readonly revoked?: readonly string[];
  readonly thisUpdate?: Date;
  readonly nextUpdate?: Date;
}

export async function crl(options: CrlOptions): Promise<Uint8Array> {
  const made = await X509CrlGenerator.create({
    issuer: options.issuer,
    thisUpdate: options.thisUpdate ?? FROM,
    nextUpdate: options.nextUpdate ?? UNTIL,
    entries: (options.revoked ?? []).map((serialNumber) => ({ serialNumber, revocationDate: FROM })),
    signingAlgorithm: EC,
    signingKey: options.signer.privateKey,
  });
  return new Uint8Array(made.rawData);
}

export function newPair(): Promise<Pair> {
  return crypto.subtle.generateKey(EC, true, ['sign', 'verify']);
}

export function authority(pathLength?: number, usage = KeyUsageFlags.cRLSign): Extension[] {
  return [
    new BasicConstraintsExtension(true, pathLength, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | usage, true),
  ];
}

export function tpmName(manufacturer: string, critical = true): Extension {
  const name = new Name(`2.23.133.2.1=${manufacturer}, 2.23.133.2.2=Model, 2.23.133.2.3=id:00010002`);
  return new SubjectAlternativeNameExtension([new GeneralName('dn', name.toString())], critical);
}

export const basic = new BasicConstraintsExtension(false, undefined, true);
export const agreement = new KeyUsagesExtension(KeyUsageFlags.keyAgreement, true);
export const usage = new ExtendedKeyUsageExtension([EK_USAGE]);
export const infineon = tpmName('id:49465800');
export const EK_EXTENSIONS: Extension[] = [basic, agreement, usage, infineon];

/** A maker: a root, an authority below it that may sign EK certificates only, and one endorsement key. */
export interface Maker {
  readonly root: Pair;
  readonly middle: Pair;
  readonly ek: Pair;
  readonly rootDer: Uint8Array;
  readonly middleDer: Uint8Array;
  leaf(change?: Partial<CertificateOptions>): Promise<Uint8Array>;
  middleWith(change: Partial<CertificateOptions>): Promise<Uint8Array>;
}

export async function newMaker(): Promise<Maker> {
  const [root, middle, ek] = await Promise.all([newPair(), newPair(), newPair()]);
  const middleWith = (change: Partial<CertificateOptions>) =>
    certificate({
      issuer: 'CN=Root',
      subject: 'CN=Middle',
      signer: root,
      key: middle,
      extensions: authority(0),
      serial: '02',
      ...change,
    });
  return {
    root,
    middle,
    ek,
    rootDer: await certificate({
      issuer: 'CN=Root',
      subject: 'CN=Root',
      signer: root,
      key: root,
      extensions: authority(),
    }),
    middleDer: await middleWith({}),
    middleWith,
    leaf: (change = {}) =>
      certificate({
        issuer: 'CN=Middle',
        subject: 'CN=unknown',
        signer: middle,
        key: ek,
        extensions: EK_EXTENSIONS,
        serial: '0badcafe',
        ...change,
      }),
  };
}
