import { assert, CodedError, errorCode } from '@nemea/core';
import type { Outward, OutwardOptions, Protocol, Reception, ReceptionOptions } from '../transport.ts';
import type { ComplianceCase } from './journal-compliance.ts';

const KNOCK = '/nemea/knock/1';
const BYTES_MAX = 1_024;
const NETWORK = new Uint8Array(32).fill(1);

/** Where hosts that anybody may ask are opened, and how time passes there. */
export interface PublicHostGround {
  /** Opens a reception that listens, with the identity of this number. */
  openReception(
    index: number,
    options: Pick<ReceptionOptions, 'protocols' | 'networkId'>,
  ): Promise<Reception>;
  /** Opens a host that only asks, with an identity of its own. */
  openOutward(options: Pick<OutwardOptions, 'networkId'>): Promise<Outward>;
  /** Lets time pass until the work is done. */
  drive<T>(work: Promise<T>): Promise<T>;
}

/** The suite for receptions and for those who ask them. Each case has a ground of its own. */
export function publicHostCompliance(prepare: () => Promise<PublicHostGround>): ComplianceCase[] {
  const echo: Protocol = {
    maxMessageBytes: BYTES_MAX,
    maxInFlight: 4,
    handle: async (_peer, message) => message,
  };

  /** A reception that serves one protocol, and somebody to ask it. */
  async function pair(change: Partial<Protocol> = {}, networkId = NETWORK) {
    const ground = await prepare();
    const protocols = { [KNOCK]: { ...echo, ...change } };
    const reception = await ground.openReception(0, { protocols, networkId: NETWORK });
    const asker = await ground.openOutward({ networkId });
    const ask = (message: Uint8Array, { protocol = KNOCK, address = addressOf(reception) } = {}) =>
      ground.drive(asker.request(address, protocol, message, { timeoutMs: 2_000 }));
    const outcome = (work: Promise<unknown>): Promise<string> => work.then(() => 'OK', errorCode);
    return { ground, reception, asker, ask, outcome };
  }

  const addressOf = ({ addresses }: Reception): string => addresses[0] as string;
  const expectCode = (got: string, want: string): void => assert(got === want, `got ${got}, want ${want}`);
  const one = Uint8Array.of(1);

  return [
    {
      title: 'answers a stranger, whose PeerId its handler is told',
      async run() {
        const seen: string[] = [];
        const handle: Protocol['handle'] = async (peer, message) => {
          seen.push(peer);
          return message;
        };
        const { asker, ask } = await pair({ handle });
        assert((await ask(one))[0] === 1, 'the answer');
        assert(seen.join() === asker.peerId, `got ${seen.join()}, want ${asker.peerId}`);
      },
    },
    {
      title: 'answers everybody in turn when more ask at once than it serves',
      async run() {
        const { ask } = await pair();
        const answers = await Promise.all(
          Array.from({ length: 12 }, (_, index) => ask(Uint8Array.of(index))),
        );
        assert(answers.map(([index]) => index).join() === answers.map((_, index) => index).join(), 'all');
      },
    },
    {
      title: 'serves no more at once than it is told, whoever asks',
      async run() {
        let begun = 0;
        const handle = () => {
          begun++;
          return new Promise<never>(() => undefined);
        };
        const { ground, reception, ask, outcome } = await pair({ handle, maxInFlight: 1 });
        const other = await ground.openOutward({ networkId: NETWORK });
        const asked = other.request(addressOf(reception), KNOCK, one, { timeoutMs: 2_000 });
        const outcomes = await Promise.all([outcome(ask(one)), outcome(ground.drive(asked))]);
        for (const code of outcomes) expectCode(code, 'REQUEST_TIMED_OUT');
        assert(begun === 1, `handlers: got ${begun}, want 1`);
      },
    },
    {
      title: 'tells who asks the code of a handler that failed',
      async run() {
        const handle = () => Promise.reject(new CodedError('KNOCK_REFUSED', 'details stay here'));
        const { ask, outcome } = await pair({ handle });
        expectCode(await outcome(ask(one)), 'KNOCK_REFUSED');
      },
    },
    {
      title: 'serves nothing but what it was given',
      async run() {
        const { ask, outcome } = await pair();
        expectCode(await outcome(ask(one, { protocol: '/nemea/other/1' })), 'STREAM_CLOSED');
        expectCode(await outcome(ask(one)), 'OK');
      },
    },
    {
      title: 'reads no question that is too large',
      async run() {
        let asked = 0;
        const handle: Protocol['handle'] = async (_peer, message) => {
          asked++;
          return message;
        };
        const { ask, outcome } = await pair({ handle });
        expectCode(await outcome(ask(new Uint8Array(2 * BYTES_MAX))), 'STREAM_CLOSED');
        assert(asked === 0, 'the handler was not asked');
        expectCode(await outcome(ask(new Uint8Array(BYTES_MAX))), 'OK');
      },
    },
    {
      title: 'gives up a question that is not answered in time',
      async run() {
        const { ask, outcome } = await pair({ handle: () => new Promise(() => undefined) });
        expectCode(await outcome(ask(one)), 'REQUEST_TIMED_OUT');
      },
    },
    {
      title: 'does not speak with another network',
      async run() {
        const { ask, outcome } = await pair({}, new Uint8Array(32).fill(2));
        expectCode(await outcome(ask(one)), 'CONNECTION_FAILED');
      },
    },
    {
      title: 'is reached at its address, by its own PeerId, while it is open',
      async run() {
        const { ground, reception, asker, ask, outcome } = await pair();
        const address = addressOf(reception);
        expectCode(await outcome(ask(one, { address })), 'OK');
        const other = address.replace(reception.peerId, asker.peerId);
        expectCode(await outcome(ask(one, { address: other })), 'CONNECTION_FAILED');
        await ground.drive(reception.close());
        // An asker whose connection was open may learn of its end by the stream.
        const code = await outcome(ask(one, { address }));
        assert(['CONNECTION_FAILED', 'STREAM_CLOSED'].includes(code), `got ${code}`);
      },
    },
    {
      title: 'asks nothing at what is no address, and nothing once it is closed',
      async run() {
        const { ground, asker, ask, outcome } = await pair();
        expectCode(await outcome(ask(one, { address: '/ip4/127.0.0.1/tcp/1' })), 'ADDRESS_INVALID');
        await ground.drive(asker.close());
        expectCode(await outcome(ask(one)), 'HOST_CLOSED');
      },
    },
  ];
}
