/** So many unpredictable bytes: nonces, salts, secrets. */
export type Random = (byteLength: number) => Uint8Array;
