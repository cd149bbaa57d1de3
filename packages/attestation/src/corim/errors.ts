import { CodedError } from '@nemea/core';

/** Why a CoRIM was not read. */
export type CorimErrorCode = 'CORIM_INVALID' | 'CORIM_SIGNATURE_MISSING' | 'CORIM_TOO_LARGE';

/** What reading a CoRIM throws. */
export class CorimError extends CodedError<CorimErrorCode> {}
