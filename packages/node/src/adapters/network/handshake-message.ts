import { EVIDENCE_BYTES_MAX } from '@nemea/attestation';
import { type CborValue, decodeCbor, encodeCbor } from '@nemea/core';
import { TransportError } from '../../ports/transport.ts';
import { toCode } from './frame.ts';

export const CHALLENGE_BYTES = 32;
export const HANDSHAKE_MESSAGE_BYTES_MAX = EVIDENCE_BYTES_MAX + 256;
/** Every message but the evidence is shorter. */
export const SHORT_MESSAGE_BYTES_MAX = 256;

/** What both sides say inside the encrypted channel before it carries anything else. */
export type HandshakeMessage =
  | { readonly type: 'hello'; readonly challenge: Uint8Array }
  | { readonly type: 'evidence'; readonly evidence: Uint8Array }
  | { readonly type: 'accept' }
  | { readonly type: 'refuse'; readonly code: string };

export function encodeHandshakeMessage(message: HandshakeMessage): Uint8Array {
  return encodeCbor({ ...message });
}

/** Throws `HANDSHAKE_MALFORMED` for anything that is not exactly one message. */
export function parseHandshakeMessage(bytes: Uint8Array): HandshakeMessage {
  const fields = parseFields(bytes);
  const want = (count: number): void => {
    if (Object.keys(fields).length !== count) throw malformed('unexpected fields');
  };
  switch (fields.type) {
    case 'hello': {
      want(2);
      const challenge = fields.challenge;
      if (!(challenge instanceof Uint8Array) || challenge.length !== CHALLENGE_BYTES) {
        throw malformed(`challenge is not ${CHALLENGE_BYTES} bytes`);
      }
      return { type: 'hello', challenge };
    }
    case 'evidence': {
      want(2);
      const evidence = fields.evidence;
      if (!(evidence instanceof Uint8Array) || evidence.length > EVIDENCE_BYTES_MAX) {
        throw malformed(`evidence is not at most ${EVIDENCE_BYTES_MAX} bytes`);
      }
      return { type: 'evidence', evidence };
    }
    case 'accept':
      want(1);
      return { type: 'accept' };
    case 'refuse': {
      want(2);
      const code = fields.code;
      if (typeof code !== 'string' || toCode(code) !== code) throw malformed('refusal without a proper code');
      return { type: 'refuse', code };
    }
    default:
      throw malformed('unknown type');
  }
}

function parseFields(bytes: Uint8Array): { readonly [key: string]: CborValue } {
  const value = decode(bytes);
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array || Array.isArray(value)) {
    throw malformed('not a map');
  }
  return value as { readonly [key: string]: CborValue };
}

function decode(bytes: Uint8Array): CborValue {
  try {
    return decodeCbor(bytes);
  } catch (cause) {
    throw new TransportError('HANDSHAKE_MALFORMED', 'handshake message is not canonical dag-cbor', { cause });
  }
}

function malformed(detail: string): TransportError {
  return new TransportError('HANDSHAKE_MALFORMED', `handshake message refused: ${detail}`);
}
