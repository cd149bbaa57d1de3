/** What it costs to hide secrets on the way to the TPM: each operation with encrypted sessions, beside the same in clear. */
import { fromUtf8 } from '@nemea/core';
import { makeCredential, TEMPLATES, Tpm } from '@nemea/tpm';
import { openUnixChannel } from '../packages/tpm/src/channel/unix.ts';
import { startTestTpm, type TestTpm } from '../packages/tpm/src/testing.ts';
import { race, type Work } from './measure.ts';
import { type Row, rowOf } from './row.ts';

const SECRET = fromUtf8('a secret of thirty-two bytes ...');
/** Waiting for another process: wall time, and fewer samples. */
const WAITING = { clock: 'wall', repeats: 5, sampleMs: 300 } as const;

export async function benchSessions(): Promise<Row[]> {
  const hidden = await startTestTpm();
  const bare = await startTestTpm();
  try {
    const encrypted = await operations(hidden.tpm);
    const clear = await operations(await inClear(bare));
    const rows: Row[] = [];
    for (const [name, own] of Object.entries(encrypted)) {
      const samples = await race({ own, peer: clear[name] as Work }, WAITING);
      rows.push(
        rowOf({
          group: 'sessions',
          unit: 'perS',
          own: { name: `${name} (wall)`, samples: samples.own },
          peer: { name: 'the same in clear', samples: samples.peer },
        }),
      );
    }
    return rows;
  } finally {
    await hidden.stop();
    await bare.stop();
  }
}

/** The same software TPM by a client that sends everything in clear. */
async function inClear(software: TestTpm): Promise<Tpm> {
  await software.tpm.close();
  return await Tpm.open(await openUnixChannel(software.socketPath), { encryption: false });
}

async function operations(tpm: Tpm): Promise<Record<string, Work>> {
  const blob = await tpm.seal(SECRET, { pcrs: [7] });
  const ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
  const ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ek });
  const credential = makeCredential(ek.publicArea, ak.name, SECRET);
  const once =
    (work: () => Promise<unknown>): Work =>
    async () => {
      await work();
      return 1;
    };
  return {
    'getRandom, 32 bytes': once(() => tpm.getRandom(32)),
    seal: once(() => tpm.seal(SECRET, { pcrs: [7] })),
    'unseal by PCR policy': once(() => tpm.unseal(blob)),
    'activateCredential, RSA-2048': once(() => tpm.activateCredential({ ak, ek, ...credential })),
  };
}
