import { boundedInteger, boundedList, boundedText, byteString } from '@nemea/core';
import { z } from 'zod';

/** A layer-1 account. */
export const account = byteString(20);

export const digest = byteString(32);

export const multiaddr = boundedText(512);

export const cid = boundedText(128);

export const timeMs = boundedInteger(Number.MAX_SAFE_INTEGER);

/** Network endpoints (`host:port`) and devices a run may use. Empty: none. */
export const declarations = boundedList(boundedText(256), 16);

/** A secret sealed by HPKE (RFC 9180): the encapsulated key, and the ciphertext with its tag. */
export const stanzaSchema = z.strictObject({ enc: byteString(32), ciphertext: byteString(16, 1024) });
