import { type AssuranceLevel, LEVEL } from '@nemea/attestation';
import { bytesEqual } from '@nemea/core';
import { CapsuleError } from './errors.ts';
import { recipientInfo } from './header.ts';
import { inspectCapsule, openCapsule } from './open.ts';
import type { Random } from './random.ts';
import { type SealedCapsule, sealCapsule } from './seal.ts';
import { openWithKey } from './stanza.ts';
import { publicKeyOf } from './x25519.ts';

export interface ResultToSeal {
  /** X25519 keys; nobody else can open the result, the executor included once it has forgotten the file key. */
  readonly receivers: readonly Uint8Array[];
  readonly plaintext: Uint8Array;
  readonly taskId: Uint8Array;
  /** Which of the task's outputs this is. */
  readonly index: number;
  /** The account that owns the result: the task's author. */
  readonly owner: Uint8Array;
  readonly mediaType?: string;
  readonly levelMin?: AssuranceLevel;
  readonly random?: Random;
}

/** Seals a task's output to its receivers. The file key stays inside: only the receivers' stanzas hold it. */
export function sealResult(result: ResultToSeal): Omit<SealedCapsule, 'fileKey'> {
  if (result.receivers.length === 0) {
    throw new CapsuleError('RECEIVER_UNKNOWN', 'a result needs at least one receiver');
  }
  const { fileKey, ...sealed } = sealCapsule(
    {
      kind: 'result',
      owner: result.owner,
      mediaType: result.mediaType ?? 'application/octet-stream',
      environment: { imageDigests: [], levelMin: result.levelMin ?? LEVEL.development, connections: [] },
      policy: null,
      task: { taskId: result.taskId, index: result.index },
      recipients: result.receivers,
      ...(result.random === undefined ? {} : { random: result.random }),
    },
    result.plaintext,
  );
  fileKey.fill(0);
  return sealed;
}

/** Opens a capsule that was sealed to this key. Throws `RECEIVER_UNKNOWN` when it was not. */
export function openResult(capsule: Uint8Array, privateKey: Uint8Array): Uint8Array {
  const { header } = inspectCapsule(capsule);
  const publicKey = publicKeyOf(privateKey);
  const stanza = header.recipients.find(({ key }) => bytesEqual(key, publicKey));
  if (stanza === undefined) {
    throw new CapsuleError('RECEIVER_UNKNOWN', 'the capsule is not sealed to this key');
  }
  const fileKey = openWithKey(privateKey, { stanza, info: recipientInfo(header) });
  try {
    return openCapsule(capsule, fileKey);
  } finally {
    fileKey.fill(0);
  }
}
