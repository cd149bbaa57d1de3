/** What the client costs: a quote through it beside the same bytes written to a bare socket. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { assert, ByteWriter, concatBytes } from '@nemea/core';
import { TEMPLATES } from '@nemea/tpm/structures';
import { startTestTpm } from '../packages/tpm/src/testing.ts';
import { race, type Samples, type Work } from './measure.ts';
import { type Row, rowOf } from './row.ts';

/** Waiting for another process: wall time, in many short turns, so that other load meets both alike. */
const WAITING = { clock: 'wall', repeats: 400, sampleMs: 8 } as const;
const BATCH = 8;
const LATENCY_TARGET = 1.15;
const NONCE = new Uint8Array(32).fill(1);
const AK = { hierarchy: 'endorsement', template: TEMPLATES.ak } as const;

/** Two TPMs, because one serves one client at a time. */
export async function benchTpm(): Promise<Row[]> {
  const [own, other] = [await startTestTpm(), await startTestTpm()];
  // The key stays in its slot when this client leaves: the first slot, on a TPM that held nothing.
  await other.tpm.createPrimary(AK);
  await other.tpm.close();
  const socket = connect(other.socketPath);
  await once(socket, 'connect');
  try {
    const ak = await own.tpm.createPrimary(AK);
    const { raw, client } = await race(
      {
        raw: exchanges(socket, quoteCommand(0x80000000)),
        client: async () => {
          for (let i = 0; i < BATCH; i++) await own.tpm.quote(ak, { qualifyingData: NONCE, pcrs: [0, 7] });
          return BATCH;
        },
      },
      WAITING,
    );
    return [
      rowOf({
        group: 'tpm',
        unit: 'ms',
        own: { name: 'quote by swtpm, through the client', samples: latency(client) },
        peer: { name: 'the same bytes on a bare socket', samples: latency(raw) },
        target: { of: 'ratio', atMost: LATENCY_TARGET },
      }),
    ];
  } finally {
    socket.destroy();
    await own.stop();
    await other.stop();
  }
}

function latency({ median, min, max }: Samples): Samples {
  return { median: 1000 / median, min: 1000 / max, max: 1000 / min };
}

/** The least that any client does: write, gather until the size in the header is there. */
function exchanges(socket: Socket, command: Uint8Array): Work {
  let received: Uint8Array = new Uint8Array(0);
  let answered: (response: Uint8Array) => void = () => undefined;
  socket.on('data', (chunk: Buffer) => {
    received = concatBytes(received, chunk);
    if (received.length >= 10 && received.length === new DataView(received.buffer).getUint32(2)) {
      answered(received);
      received = new Uint8Array(0);
    }
  });
  return async () => {
    for (let i = 0; i < BATCH; i++) {
      const { promise, resolve } = Promise.withResolvers<Uint8Array>();
      answered = resolve;
      socket.write(command);
      const response = await promise;
      assert(new DataView(response.buffer).getUint32(6) === 0, 'the tpm quotes');
    }
    return BATCH;
  };
}

/** TPM2_Quote of PCRs 0 and 7: empty password, nonce, the key's own scheme. */
function quoteCommand(key: number): Uint8Array {
  const body = new ByteWriter().u32(key).u32(9).u32(0x40000009).u16(0).u8(0).u16(0);
  body.u16(NONCE.length).bytes(NONCE).u16(0x0010);
  body
    .u32(1)
    .u16(0x000b)
    .u8(3)
    .bytes(Uint8Array.of(0x81, 0, 0));
  const bytes = body.toBytes();
  return new ByteWriter()
    .u16(0x8002)
    .u32(10 + bytes.length)
    .u32(0x158)
    .bytes(bytes)
    .toBytes();
}
