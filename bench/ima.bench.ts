/** How long a machine's whole IMA list takes: parse, replay to two banks, check every entry, judge by an allow-list. */
import { hash } from 'node:crypto';
import { appraiseIma, parseImaList, parseImaPolicy, replayIma, verifyIma } from '@nemea/attestation/ima';
import { assert, concatBytes, fromHex, fromUtf8 } from '@nemea/core';
import { COMPUTING, race } from './measure.ts';
import { type Row, rowOf } from './row.ts';

const ENTRIES = 100_000;
/** A list as its reader gets it, and what its replay cannot do without: five hashes an entry. */
const HASHES_OF_ENTRY = 5;

export async function benchIma(): Promise<Row[]> {
  const files = Array.from({ length: ENTRIES }, (_, i) => ({
    path: `/usr/lib/x86_64-linux-gnu/package-${i % 977}/module-${i}.so`,
    digest: hash('sha256', `file ${i}`),
  }));
  const data = files.map(({ path, digest }) =>
    concatBytes(field(concatBytes(fromUtf8('sha256:\0'), fromHex(digest))), field(fromUtf8(`${path}\0`))),
  );
  const hashes = data.map((bytes) => hash('sha1', bytes));
  const ascii = fromUtf8(
    files.map(({ path, digest }, i) => `10 ${hashes[i]} ima-ng sha256:${digest} ${path}\n`).join(''),
  );
  const binary = concatBytes(...data.map((bytes, i) => binaryEntry(bytes, fromHex(hashes[i] as string))));
  const policy = parseImaPolicy(
    Object.fromEntries(files.map(({ path, digest }) => [path, [`sha256:${digest}`]])),
  );
  const quoted = replayIma(parseImaList(ascii));
  const judge = (bytes: Uint8Array): number => {
    const list = parseImaList(bytes);
    const verification = verifyIma(list, quoted);
    const { ok, verdicts } = appraiseIma(list, { policy, verification });
    assert(ok && verdicts.length === ENTRIES, 'every entry is good');
    return 1;
  };
  const bare = (): number => {
    for (const bytes of data) for (let i = 0; i < HASHES_OF_ENTRY; i++) hash('sha256', bytes, 'binary');
    return 1;
  };
  const rates = await race({ ascii: () => judge(ascii), binary: () => judge(binary), bare }, COMPUTING);
  const peer = { name: 'its 500,000 hashes alone', samples: rates.bare };
  const target = { of: 'value', atLeast: 1 } as const;
  return (['ascii', 'binary'] as const).map((form) =>
    rowOf({
      group: 'ima',
      unit: 'perS',
      own: { name: `100,000 entries parsed, replayed, judged, ${form}`, samples: rates[form] },
      peer,
      target,
    }),
  );
}

function field(bytes: Uint8Array): Uint8Array {
  return concatBytes(u32(bytes.length), bytes);
}

/** binary_runtime_measurements: PCR, template hash, name, data. */
function binaryEntry(data: Uint8Array, templateHash: Uint8Array): Uint8Array {
  return concatBytes(u32(10), templateHash, field(fromUtf8('ima-ng')), field(data));
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
