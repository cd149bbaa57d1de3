/** Everything that promises to run in a browser, for its size in one bundle. */
export * as attestation from '@nemea/attestation';
export * as structures from '@nemea/tpm/structures';
