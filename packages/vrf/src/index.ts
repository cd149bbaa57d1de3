/**
 * ECVRF-P256-SHA256-TAI (RFC 9381): prove with a secret in memory, verify proofs from memory or from a TPM, and
 * decide draws in exact integers. Secrets go through @noble/curves alone, public points through WebAssembly assembled here
 * where that may run; both proof encodings give one output.
 * It does not keep keys, does not choose weights or seeds, and does not stop a host from making many keys: the
 * registry does. Runs in a browser.
 */
export { VrfError, type VrfErrorCode } from './errors.ts';
export { hashToCurveTai } from './hash-to-curve.ts';
export { RFC9381_PROOF_BYTES, SUITE_RFC9381, SUITE_TPM, TPM_PROOF_BYTES } from './proof.ts';
export { proveVrf, vrfPublicKey } from './prove.ts';
export { indexesInArc, type Ring, ringDistance } from './ring.ts';
export {
  compareDraws,
  type Draw,
  drawAlpha,
  drawBound,
  isDrawn,
  type Odds,
  parseOutput,
} from './sortition.ts';
export { verifyVrf } from './verify.ts';
