/** Draws: proofs made inside a TPM and in memory, and their check, beside the least that such a check must compute. */
import { assert, fromUtf8, sha256, toHex } from '@nemea/core';
import { compressedPoint, parsePublicArea, TEMPLATES } from '@nemea/tpm/structures';
import { proveVrf, verifyVrf, vrfPublicKey } from '@nemea/vrf';
import { p256 } from '@noble/curves/nist.js';
import { startTestTpm } from '../packages/tpm/src/testing.ts';
import { COMPUTING, race, type Work } from './measure.ts';
import { type Row, rowOf } from './row.ts';

const SECRET = sha256(fromUtf8('vrf secret'));
const INPUTS = 4;
/** Waiting for another process: wall time, and fewer samples. */
const WAITING = { clock: 'wall', repeats: 5, sampleMs: 300 } as const;

export async function benchVrf(): Promise<Row[]> {
  const publicKey = vrfPublicKey(SECRET);
  const alphas = Array.from({ length: INPUTS }, (_, index) => sha256(Uint8Array.of(index)));
  const proofs = alphas.map((alpha) => ({ alpha, ...proveVrf(SECRET, alpha) }));
  const computed = await race(
    {
      twoMultiplications: multiplyTwice(alphas),
      prove: () => {
        for (const alpha of alphas) proveVrf(SECRET, alpha);
        return INPUTS;
      },
      verify: () => {
        for (const { alpha, beta, proof } of proofs) {
          assert(toHex(verifyVrf(publicKey, alpha, proof)) === toHex(beta), 'an honest proof passes');
        }
        return INPUTS;
      },
    },
    COMPUTING,
  );
  const limit = { name: 'two multiplications by noble', samples: computed.twoMultiplications };
  return [
    rowOf({ group: 'vrf', unit: 'perS', own: { name: 'verify', samples: computed.verify }, peer: limit }),
    rowOf({
      group: 'vrf',
      unit: 'perS',
      own: { name: 'prove in memory (RFC 9381)', samples: computed.prove },
      peer: limit,
    }),
    ...(await benchTpm(alphas)),
  ];
}

/** What naive code would do for U and V after their cheaper halves: one multiplication of a fresh point for each. */
function multiplyTwice(alphas: readonly Uint8Array[]): Work {
  const points = alphas.map((alpha) => p256.Point.BASE.multiply(BigInt(`0x${toHex(alpha)}`)));
  const scalar = BigInt(`0x${toHex(SECRET)}`);
  return () => {
    for (const point of points) {
      point.multiplyUnsafe(scalar);
      point.multiplyUnsafe(scalar + 1n);
    }
    return points.length;
  };
}

/** A software TPM answers in milliseconds; a hardware one takes a hundred times as long. */
async function benchTpm(alphas: readonly Uint8Array[]): Promise<Row[]> {
  const software = await startTestTpm();
  try {
    const { tpm } = software;
    const key = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.vrf });
    const area = parsePublicArea(key.publicArea);
    assert(area.type === 'ecc', 'the VRF key is on P-256');
    const publicKey = compressedPoint(area);
    const { prove, commands } = await race(
      {
        commands: async () => {
          for (let i = 0; i < INPUTS; i++) await tpm.pcrRead([0]);
          return INPUTS;
        },
        prove: async () => {
          for (const alpha of alphas) {
            const { beta, proof } = await tpm.vrfProve(key, alpha);
            assert(toHex(verifyVrf(publicKey, alpha, proof)) === toHex(beta), "the TPM's proof passes");
          }
          return INPUTS;
        },
      },
      WAITING,
    );
    return [
      rowOf({
        group: 'vrf',
        unit: 'perS',
        own: { name: 'prove in swtpm, and verify (wall)', samples: prove },
        peer: { name: 'one TPM command (PCR_Read)', samples: commands },
      }),
    ];
  } finally {
    await software.stop();
  }
}
