import { CodedError } from '@nemea/core';

/** Why a document in CBOR or COSE was not read. */
export type CoseErrorCode = 'CBOR_MALFORMED' | 'COSE_INVALID' | 'COSE_SIGNATURE_WRONG';

/** What reading CBOR and COSE throws. */
export class CoseError extends CodedError<CoseErrorCode> {}
