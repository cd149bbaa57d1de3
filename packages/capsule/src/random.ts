import { randomBytes } from 'node:crypto';

/** So many unpredictable bytes. Whoever gives another than the system's answers for every secret made of it. */
export type Random = (byteLength: number) => Uint8Array;

export const systemRandom: Random = (byteLength) => new Uint8Array(randomBytes(byteLength));
