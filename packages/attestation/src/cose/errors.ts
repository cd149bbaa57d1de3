import { CodedError } from '@nemea/core';

export type CoseErrorCode = 'CBOR_MALFORMED' | 'COSE_INVALID' | 'COSE_SIGNATURE_WRONG';

export class CoseError extends CodedError<CoseErrorCode> {}
