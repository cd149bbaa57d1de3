import { byteString, defineDocument } from '@nemea/core';
import { attestationSchema, contradictionSchema, type EpochLeaf } from '@nemea/membership';
import { z } from 'zod';
import { ReportError } from './report.ts';

const LEAF_BYTES_MAX = 2048;

const account = z.string().regex(/^0x[0-9a-f]{40}$/);
const epoch = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const codec = defineDocument<EpochLeaf>({
  name: 'epoch leaf',
  schema: z.union([
    attestationSchema.extend({ attestor: account, epoch }),
    z.strictObject({ attestor: account, epoch, proof: byteString(1, 200), beta: byteString(32) }),
    z.strictObject({ outdated: account, epoch, evidenceDigest: byteString(32) }),
    contradictionSchema.extend({ equivocator: account, epoch }),
  ]),
  bytesMax: LEAF_BYTES_MAX,
  invalid: (message, cause) => new ReportError('LEAF_INVALID', message, { cause }),
});

/** A leaf of an epoch's attestation tree; only its canonical bytes parse. Throws `LEAF_INVALID`. */
export function parseEpochLeaf(bytes: Uint8Array): EpochLeaf {
  return codec.parse(bytes);
}
