/** The hashes of TPM banks and of template hashes. File digests may be of any other. */
export const IMA_BANKS = ['sha1', 'sha256', 'sha384', 'sha512', 'sm3_256'] as const;
/** A bank that IMA extends. */
export type ImaBank = (typeof IMA_BANKS)[number];

/** Of the machine that wrote the list. */
export type ByteOrder = 'little' | 'big';

/** PCR values by bank and number: what a replay ends in, and what a quote or a TPM vouches for. */
export type PcrBanks = ReadonlyMap<ImaBank, ReadonlyMap<number, Uint8Array>>;

/** A measurement list as parsed: nothing in it is true before `verifyIma` has held it against a quote. */
export interface ImaList {
  readonly form: 'ascii' | 'binary';
  /** The order of the lengths inside template data, which the kernel hashes too. */
  readonly byteOrder: ByteOrder;
  /** What the template hashes are made with: SHA-1, or another for the lists that kernels give per bank. */
  readonly templateHashAlgorithm: ImaBank;
  readonly entries: readonly ImaEntry[];
}

/** One measurement, as the list has it. */
export interface ImaEntry {
  /** Position in the kernel's list, from 0. */
  readonly number: number;
  readonly pcr: number;
  readonly templateHash: Uint8Array;
  /** For instance `ima-ng`, or the fields of a custom template: `d-ng|n-ng|sig`. */
  readonly template: string;
  /** The bytes that the template hash is over. */
  readonly templateData: Uint8Array;
  readonly fields: ImaFields;
  /** The kernel could not vouch for what was read: its template hash is zero, and PCRs were extended with ones. */
  readonly violation: boolean;
}

/** What an entry measures. */
export type ImaFields = ImaFileFields | ImaBufferFields | ImaUnknownFields;

/** A file: templates ima, ima-ng, ima-ngv2, ima-sig, ima-sigv2, ima-modsig, evm-sig and customs of their fields. */
export interface ImaFileFields {
  readonly kind: 'file';
  readonly digest: ImaDigest;
  readonly path: string;
  /** security.ima (or security.evm) as the kernel found it; null when it was empty or the template has none. */
  readonly signature: Uint8Array | null;
  readonly modsig: ImaModsig | null;
  readonly evm: ImaEvm | null;
}

/** Other data: keys, the kexec command line, LSM state, device-mapper tables. Template ima-buf. */
export interface ImaBufferFields {
  readonly kind: 'buffer';
  readonly digest: ImaDigest;
  readonly name: string;
  readonly buffer: Uint8Array;
}

/** A template that is not known here: its hash is still checked. */
export interface ImaUnknownFields {
  readonly kind: 'unknown';
}

/** What the kernel measured of a file. */
export interface ImaDigest {
  /** `verity`: the fs-verity digest instead of a hash of the whole file (template fields d-ngv2). */
  readonly type: 'ima' | 'verity';
  /** The kernel's name, whether or not there is such a hash here. */
  readonly algorithm: string;
  readonly value: Uint8Array;
}

/** A PKCS#7 signature appended to the file, and the digest of the file without it. */
export interface ImaModsig {
  readonly digest: ImaDigest | null;
  readonly pkcs7: Uint8Array;
}

/** File metadata that an EVM portable signature covers. */
export interface ImaEvm {
  readonly signature: Uint8Array | null;
  readonly xattrNames: readonly string[];
  readonly xattrValues: readonly Uint8Array[];
  readonly uid: number | null;
  readonly gid: number | null;
  readonly mode: number | null;
}
