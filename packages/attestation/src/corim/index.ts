/**
 * Reference values in the format that makers publish: CoRIM with CoMID tags, unsigned or signed by COSE. Strict and bounded;
 * says what it does not enforce. Runs in a browser.
 */
export type { Cbor } from '../cose/cbor.ts';
export { CoseError, type CoseErrorCode } from '../cose/errors.ts';
export {
  type Corim,
  type CorimComponent,
  type CorimContent,
  type CorimDigest,
  type CorimEnvironment,
  type CorimHash,
  type CorimRegister,
  encodeCorim,
} from './corim.ts';
export { CorimError, type CorimErrorCode } from './errors.ts';
export { CORIM_BYTES_MAX, CORIM_CONTENT_TYPE, parseCorim, parseSignedCorim } from './parse.ts';
export { fromCorim, type ImportedReferences, toCorim } from './reference.ts';
