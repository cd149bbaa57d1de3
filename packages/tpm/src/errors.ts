import { CodedError } from '@nemea/core';

/** Every failure this package reports. `TPM_RETURN_CODE` carries `{ command, returnCode, name }` in `data`. */
export type TpmErrorCode =
  | 'TPM_ALGORITHM_UNSUPPORTED'
  | 'TPM_ARGUMENT_INVALID'
  | 'TPM_CALL_NESTED'
  | 'TPM_CANCELLED'
  | 'TPM_CHANNEL_BUSY'
  | 'TPM_CHANNEL_CLOSED'
  | 'TPM_CHANNEL_DESYNC'
  | 'TPM_CHANNEL_FAILED'
  | 'TPM_CHANNEL_PATH_TOO_LONG'
  | 'TPM_CHANNEL_TIMEOUT'
  | 'TPM_CREDENTIAL_REFUSED'
  | 'TPM_EK_CERTIFICATE_MISSING'
  | 'TPM_KEY_UNEXPECTED'
  | 'TPM_POLICY_REFUSED'
  | 'TPM_REPLAY_MISMATCH'
  | 'TPM_RESPONSE_FORGED'
  | 'TPM_RETRIES_EXHAUSTED'
  | 'TPM_RETURN_CODE'
  | 'TPM_SESSION_ENDED'
  | 'TPM_STRUCTURE_INVALID'
  | 'TPM_STRUCTURE_UNSUPPORTED'
  | 'TPM_UNSEAL_REFUSED';

/** What this package throws: `code` says what is wrong, `data` of a refusal by the TPM has the command, TPM_RC and its name. */
export class TpmError extends CodedError<TpmErrorCode> {}
