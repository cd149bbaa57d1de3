/** Everything that promises to run in a browser, for its size in one bundle. */
export * as attestation from '@nemea/attestation';
export * as corim from '@nemea/attestation/corim';
export * as ear from '@nemea/attestation/ear';
export * as endorsement from '@nemea/attestation/endorsement';
export * as eventlog from '@nemea/attestation/eventlog';
export * as ima from '@nemea/attestation/ima';
export * as quote from '@nemea/attestation/quote';
export * as structures from '@nemea/tpm/structures';
