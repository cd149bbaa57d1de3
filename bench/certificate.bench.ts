/**
 * Commit certificates of a bare quorum: a list of Ed25519 signatures, and one BLS signature over all of them. Their
 * sizes stand in the names of the rows.
 */
import { createConfiguration, encodeDecision, verifyCommitCertificate } from '@nemea/consensus';
import {
  aggregateCertificate,
  commitBytes,
  createBlsCommittee,
  createBlsSigner,
  encodeAggregate,
  verifyAggregate,
} from '@nemea/consensus/bls';
import { createEd25519Signer, createEd25519Verifier } from '@nemea/consensus/ed25519';
import { fromUtf8, sha256, toHex } from '@nemea/core';
import { COMPUTING, race } from './measure.ts';
import { type Row, rowOf } from './row.ts';

const NETWORK_ID = new Uint8Array(32).fill(1);
const PLACE = { epoch: 1, view: 0, sequence: 1, digest: sha256(fromUtf8('a decision')) };

export async function benchCertificates(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const size of [4, 16, 64, 100]) rows.push(await rowFor(size));
  return rows;
}

async function rowFor(size: number): Promise<Row> {
  // As long as an account of layer 1.
  const members = Array.from({ length: size }, (_, index) => {
    const seed = sha256(fromUtf8(`member ${index}`));
    const id = `0x${toHex(seed.subarray(0, 20))}`;
    const owner = { networkId: NETWORK_ID, id };
    return { id, weight: 1, ed25519: createEd25519Signer(seed), bls: createBlsSigner(seed, owner) };
  });
  const configuration = createConfiguration(
    members.map(({ id, weight, ed25519 }) => ({ id, weight, publicKey: ed25519.publicKey })),
  );
  const committee = createBlsCommittee(
    configuration,
    NETWORK_ID,
    new Map(members.map(({ id, bls }) => [id, bls])),
  );
  const message = commitBytes(NETWORK_ID, PLACE);
  const quorum = members.slice(0, Math.floor((2 * size) / 3) + 1);
  const signatures = quorum.map(({ id, ed25519 }) => ({ sender: id, signature: ed25519.sign(message) }));
  const list = { ...PLACE, signatures };
  const aggregate = aggregateCertificate(
    committee,
    NETWORK_ID,
    PLACE,
    quorum.map(({ id, bls }) => ({ sender: id, signature: bls.sign(message) })),
  );
  const judge = { configuration, networkId: NETWORK_ID, verify: createEd25519Verifier() };
  const rates = await race(
    {
      list: () => {
        verifyCommitCertificate(judge, list);
        return 1;
      },
      aggregate: () => {
        verifyAggregate(committee, NETWORK_ID, aggregate);
        return 1;
      },
    },
    COMPUTING,
  );
  // A decision without operations is two bytes and its certificate.
  const listBytes = encodeDecision({ sequence: 1, batch: [], certificate: list }).length - 2;
  return rowOf({
    group: 'certificate',
    unit: 'perS',
    own: {
      name: `check of a BLS certificate, n = ${size}, ${encodeAggregate(aggregate).length} bytes`,
      samples: rates.aggregate,
    },
    peer: { name: `of ${quorum.length} Ed25519 signatures, ${listBytes} bytes`, samples: rates.list },
  });
}
