import { fromUtf8 } from '@nemea/core';
import type { Overlay, OverlayOptions, PeerEvent, Protocol } from '../../../ports/transport.ts';
import { openOverlay } from '../overlay.ts';
import { collectWith, verifyWith } from './fake-evidence.ts';

export const NETWORK = fromUtf8('nemea-test-network');
export const LISTEN = '/ip4/127.0.0.1/tcp/0';
export const ECHO = '/nemea/echo/1';
export const KEY = 'genuine';

export function seedOf(index: number): Uint8Array {
  return new Uint8Array(32).fill(index + 1);
}

export const echo: Protocol = {
  maxMessageBytes: 64 * 1024,
  maxInFlight: 128,
  handle: async (_peer, message) => message,
};

/** A member of a network that admits everybody with genuine evidence, unless told otherwise. */
export async function openMember(
  index: number,
  overrides: Partial<OverlayOptions> = {},
): Promise<{ overlay: Overlay; events: PeerEvent[] }> {
  const events: PeerEvent[] = [];
  const overlay = await openOverlay({
    privateKey: seedOf(index),
    listen: LISTEN,
    networkId: NETWORK,
    protocols: { [ECHO]: echo },
    collectEvidence: collectWith(KEY),
    verifyEvidence: verifyWith(KEY),
    isMember: () => true,
    onPeer: (event) => events.push(event),
    ...overrides,
  });
  return { overlay, events };
}

export function addressOf(host: { readonly addresses: readonly string[] }): string {
  const [address] = host.addresses;
  if (address === undefined) throw new Error('host listens nowhere');
  return address;
}

/** Waits until the condition holds; a test that never gets there ends by the runner's own limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return error instanceof Error && 'code' in error ? `${error.code}` : `${error}`;
  }
  return 'NO_ERROR';
}
