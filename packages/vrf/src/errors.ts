import { CodedError } from '@nemea/core';

export type VrfErrorCode =
  | 'VRF_SECRET_INVALID'
  | 'VRF_PUBLIC_KEY_INVALID'
  | 'VRF_HASH_TO_CURVE_FAILED'
  | 'VRF_SUITE_UNKNOWN'
  | 'VRF_PROOF_LENGTH'
  | 'VRF_POINT_INVALID'
  | 'VRF_SCALAR_OUT_OF_RANGE'
  | 'VRF_PROOF_INVALID'
  | 'VRF_DRAW_INVALID';

export class VrfError extends CodedError<VrfErrorCode> {}
