/**
 * Linux IMA measurement lists: parse, replay against a quoted PCR, continue from where the last look ended, check file
 * signatures, and judge every entry by an allow-list. Trusts the quoted PCR values, keys and policy it is given; opens
 * nothing, needs no TPM and runs in a browser. Rules: docs/spec/ima.md.
 */
export { ImaError, type ImaErrorCode } from './errors.ts';
export {
  type ByteOrder,
  IMA_BANKS,
  type ImaBank,
  type ImaBufferFields,
  type ImaDigest,
  type ImaEntry,
  type ImaEvm,
  type ImaFields,
  type ImaFileFields,
  type ImaList,
  type ImaModsig,
  type ImaUnknownFields,
  type PcrBanks,
} from './list.ts';
