import { CodedError } from '@nemea/core';

export type CorimErrorCode = 'CORIM_INVALID' | 'CORIM_SIGNATURE_MISSING' | 'CORIM_TOO_LARGE';

export class CorimError extends CodedError<CorimErrorCode> {}
