import { CodedError } from '@nemea/core';

export type SoftwareTpmErrorCode = 'SWTPM_CA_INVALID' | 'SWTPM_PROVISIONING_FAILED' | 'SWTPM_START_FAILED';

export class SoftwareTpmError extends CodedError<SoftwareTpmErrorCode> {}
