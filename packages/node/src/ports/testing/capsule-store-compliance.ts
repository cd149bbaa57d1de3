import { assert, bytesEqual, CodedError, errorCode, fromUtf8 } from '@nemea/core';
import type { CapsuleStore, CapsuleStoreOptions } from '../block-store.ts';
import type { Protocol } from '../transport.ts';
import type { ComplianceCase } from './journal-compliance.ts';

const ECHO = '/nemea/echo/1';
const BYTES_MAX = 64 * 1_024;
/** Computed from the format by hand (UnixFS, version 1, raw leaf, SHA-256). */
const CID_OF_NEMEA = 'bafkreihhoodhg7becyfxkoyrsdpsydw3hbwcolvhaqiib2ekklkpcgfxba';
const CID_OF_NOTHING = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku';

/** Where stores are opened, each under an identity of its own, and how time passes there. */
export interface CapsuleStoreGround {
  open(index: number, options: Pick<CapsuleStoreOptions, 'protocols'>): Promise<CapsuleStore>;
  /** Lets time pass until the work is done. */
  drive<T>(work: Promise<T>): Promise<T>;
}

/** The suite for a capsule store, with capsules of one leaf. Each case has a ground of its own. */
export function capsuleStoreCompliance(prepare: () => Promise<CapsuleStoreGround>): ComplianceCase[] {
  const echo: Protocol = {
    maxMessageBytes: BYTES_MAX,
    maxInFlight: 8,
    handle: async (_peer, message) => message,
  };
  const capsule = Uint8Array.from({ length: 10_000 }, (_, index) => index & 0xff);

  async function pair(change: Partial<Protocol> = {}) {
    const ground = await prepare();
    const protocols = { [ECHO]: { ...echo, ...change } };
    const holder = await ground.open(0, { protocols });
    const reader = await ground.open(1, { protocols });
    const from = (store: CapsuleStore, options: { maxBytes?: number; timeoutMs?: number } = {}) => ({
      from: addressOf(store),
      maxBytes: BYTES_MAX,
      timeoutMs: 5_000,
      ...options,
    });
    const outcome = (work: Promise<unknown>) => ground.drive(work.then(() => 'OK', errorCode));
    return { ground, holder, reader, from, outcome };
  }

  /** Of a peer that nobody is: nothing listens there. */
  const nowhere = (store: CapsuleStore) => `/ip4/127.0.0.1/tcp/9/p2p/${store.peerId}`;
  const addressOf = ({ addresses }: CapsuleStore): string => addresses[0] as string;
  const expectCode = (got: string, want: string): void => assert(got === want, `got ${got}, want ${want}`);

  return [
    {
      title: 'hands what was put into one store to another, byte for byte',
      async run() {
        const { ground, holder, reader, from } = await pair();
        for (const bytes of [capsule, new Uint8Array(0), fromUtf8('x')]) {
          const cid = await ground.drive(holder.put(bytes));
          assert(
            bytesEqual(await ground.drive(reader.get(cid, from(holder))), bytes),
            `${bytes.length} bytes`,
          );
        }
      },
    },
    {
      title: 'names the same bytes the same, everywhere',
      async run() {
        const { ground, holder } = await pair();
        const named = await ground.drive(holder.put(fromUtf8('nemea')));
        assert(named === CID_OF_NEMEA, `got ${named}, want ${CID_OF_NEMEA}`);
        const nothing = await ground.drive(holder.put(new Uint8Array(0)));
        assert(nothing === CID_OF_NOTHING, `got ${nothing}, want ${CID_OF_NOTHING}`);
      },
    },
    {
      title: 'asks nobody for what it has, and has what it fetched until it deletes it',
      async run() {
        const { ground, holder, reader, from, outcome } = await pair();
        const cid = await ground.drive(holder.put(capsule));
        const alone = { ...from(holder), from: nowhere(holder), timeoutMs: 1_000 };
        expectCode(await outcome(holder.get(cid, alone)), 'OK');
        expectCode(await outcome(reader.get(cid, alone)), 'CAPSULE_UNREACHABLE');
        expectCode(await outcome(reader.get(cid, from(holder))), 'OK');
        expectCode(await outcome(reader.get(cid, alone)), 'OK');
        await ground.drive(reader.delete(cid));
        expectCode(await outcome(reader.get(cid, alone)), 'CAPSULE_UNREACHABLE');
      },
    },
    {
      title: 'waits in vain, for so long, for what the holder does not have',
      async run() {
        const { holder, reader, from, outcome } = await pair();
        expectCode(
          await outcome(reader.get(CID_OF_NEMEA, from(holder, { timeoutMs: 500 }))),
          'CAPSULE_TIMED_OUT',
        );
      },
    },
    {
      title: 'takes nothing beyond the limit, and keeps nothing of it',
      async run() {
        const { ground, holder, reader, from, outcome } = await pair();
        const cid = await ground.drive(holder.put(capsule));
        const less = { maxBytes: capsule.length - 1 };
        expectCode(await outcome(reader.get(cid, from(holder, less))), 'CAPSULE_TOO_LARGE');
        const alone = { ...from(holder), from: nowhere(holder), timeoutMs: 1_000 };
        expectCode(await outcome(reader.get(cid, alone)), 'CAPSULE_UNREACHABLE');
        expectCode(await outcome(holder.get(cid, from(reader, less))), 'CAPSULE_TOO_LARGE');
        expectCode(await outcome(reader.get(cid, from(holder, { maxBytes: capsule.length }))), 'OK');
      },
    },
    {
      title: 'takes no name but a content identifier in its one form',
      async run() {
        const { holder, reader, from, outcome } = await pair();
        const version0 = 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG';
        for (const cid of ['hello', version0, CID_OF_NEMEA.toUpperCase()])
          expectCode(await outcome(reader.get(cid, from(holder))), 'CID_INVALID');
      },
    },
    {
      title: 'serves protocols beside its blocks, and asks those of others under its own identity',
      async run() {
        const seen: string[] = [];
        const handle: Protocol['handle'] = async (peer, message) => {
          seen.push(peer);
          if (message.length === 0) throw new CodedError('NOTHING_SAID', 'details stay here');
          return message;
        };
        const { ground, holder, reader, outcome } = await pair({ handle });
        const ask = (message: Uint8Array, protocol = ECHO) =>
          reader.request(addressOf(holder), protocol, message, { timeoutMs: 5_000 });
        assert((await ground.drive(ask(Uint8Array.of(7))))[0] === 7, 'the answer');
        assert(seen.join() === reader.peerId, `got ${seen.join()}, want ${reader.peerId}`);
        expectCode(await outcome(ask(new Uint8Array(0))), 'NOTHING_SAID');
        expectCode(await outcome(ask(Uint8Array.of(7), '/nemea/other/1')), 'STREAM_CLOSED');
      },
    },
    {
      title: 'gives nothing more once it is closed',
      async run() {
        const { ground, holder, reader, from, outcome } = await pair();
        const cid = await ground.drive(holder.put(capsule));
        const wanted = from(holder, { timeoutMs: 1_000 });
        await ground.drive(holder.close());
        expectCode(await outcome(reader.get(cid, wanted)), 'CAPSULE_UNREACHABLE');
      },
    },
  ];
}
