/** Draws: proofs made inside a TPM and in memory, and their check, beside the least that such a check must compute. */
import { assert, fromUtf8, sha256, toHex } from '@nemea/core';
import type { PcrPolicy, TpmKey } from '@nemea/tpm';
import { TEMPLATES, vrfTemplate } from '@nemea/tpm/structures';
import { proveVrf, verifyVrf, vrfPublicKey } from '@nemea/vrf';
import { p256 } from '@noble/curves/nist.js';
import {
  createSealedVrf,
  openSealedVrf,
  tpmVrfProver,
  type VrfProver,
} from '../packages/node/src/adapters/tpm/vrf-prover.ts';
import { startTestTpm } from '../packages/tpm/src/testing.ts';
import type { CurvePoint } from '../packages/vrf/src/curve.ts';
import { proveLikeTpm } from '../packages/vrf/src/testing.ts';
import { COMPUTING, race, type Work } from './measure.ts';
import { type Row, rowOf } from './row.ts';

const SECRET = sha256(fromUtf8('vrf secret'));
const INPUTS = 4;
const PCRS = [7, 14];
const SPEED_TARGET = 4;
/** Waiting for another process: wall time, and fewer samples. */
const WAITING = { clock: 'wall', repeats: 5, sampleMs: 300 } as const;

export async function benchVrf(): Promise<Row[]> {
  const publicKey = vrfPublicKey(SECRET);
  const alphas = Array.from({ length: INPUTS }, (_, index) => sha256(Uint8Array.of(index)));
  const proofs = alphas.map((alpha) => ({ alpha, ...proveVrf(SECRET, alpha) }));
  const tpmProofs = proofs.map(({ alpha, beta }, index) => {
    const k = sha256(fromUtf8('k')).with(0, 1);
    return { alpha, beta, proof: proveLikeTpm({ secret: SECRET, alpha, nonce: scalarOf(proofs, index), k }) };
  });
  const computed = await race(
    {
      naive: multiplyTwice(alphas, (point, scalar) => point.multiply(scalar)),
      unsafe: multiplyTwice(alphas, (point, scalar) => point.multiplyUnsafe(scalar)),
      prove: () => {
        for (const alpha of alphas) proveVrf(SECRET, alpha);
        return INPUTS;
      },
      verifyRfc: verifyAll(publicKey, proofs),
      verifyTpm: verifyAll(publicKey, tpmProofs),
    },
    COMPUTING,
  );
  const naive = { name: 'two naive noble multiplications', samples: computed.naive };
  const unsafe = { name: 'two by noble, in variable time', samples: computed.unsafe };
  const row = (name: string, samples: Row['own']['samples'], peer: typeof naive, atLeast?: number): Row =>
    rowOf({
      group: 'vrf',
      unit: 'perS',
      own: { name, samples },
      peer,
      ...(atLeast === undefined ? {} : { target: { of: 'ratio' as const, atLeast } }),
    });
  return [
    row('VRF verify, proof of RFC 9381', computed.verifyRfc, naive, SPEED_TARGET),
    row('VRF verify, proof of a TPM', computed.verifyTpm, naive, SPEED_TARGET),
    row('VRF verify, proof of a TPM', computed.verifyTpm, unsafe),
    row('prove in memory (RFC 9381)', computed.prove, naive),
    ...(await benchTpm(alphas)),
  ];
}

/** What naive code does for U and for V, after their halves on the base point: a multiplication of a fresh point for each. */
function multiplyTwice(
  alphas: readonly Uint8Array[],
  multiply: (point: CurvePoint, scalar: bigint) => CurvePoint,
): Work {
  const points = alphas.map((alpha) => p256.Point.BASE.multiply(BigInt(`0x${toHex(alpha)}`)));
  const scalar = BigInt(`0x${toHex(SECRET)}`);
  return () => {
    for (const point of points) {
      multiply(point, scalar);
      multiply(point, scalar + 1n);
    }
    return points.length;
  };
}

interface Proven {
  readonly alpha: Uint8Array;
  readonly beta: Uint8Array;
  readonly proof: Uint8Array;
}

function verifyAll(publicKey: Uint8Array, proofs: readonly Proven[]): Work {
  return () => {
    for (const { alpha, beta, proof } of proofs) {
      assert(toHex(verifyVrf(publicKey, alpha, proof)) === toHex(beta), 'an honest proof passes');
    }
    return proofs.length;
  };
}

/** Any scalar of full size. */
function scalarOf(proofs: readonly Proven[], index: number): bigint {
  return BigInt(`0x${toHex(proofs[index]?.beta ?? SECRET)}`) >> 1n;
}

/** A software TPM answers in milliseconds; a hardware one takes a hundred times as long. Every prover checks its proofs. */
async function benchTpm(alphas: readonly Uint8Array[]): Promise<Row[]> {
  const software = await startTestTpm();
  try {
    const { tpm } = software;
    const policy = { pcrs: PCRS };
    const free = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.vrf });
    const template = vrfTemplate(await tpm.pcrPolicyDigest(policy));
    const bound = await tpm.createPrimary({ hierarchy: 'endorsement', template });
    const sealed = await createSealedVrf(tpm, PCRS);
    const fallback = await openSealedVrf(tpm, sealed);
    const proveAll =
      ({ prove }: VrfProver) =>
      async () => {
        for (const alpha of alphas) await prove(alpha);
        return INPUTS;
      };
    const inTpm = (key: TpmKey, use?: PcrPolicy): VrfProver =>
      tpmVrfProver({
        vrfPublic: key.publicArea,
        vrfProve: (alpha) => tpm.vrfProve(key, alpha, use),
      });
    const raced = await race(
      {
        commands: async () => {
          for (let i = 0; i < INPUTS; i++) await tpm.pcrRead([0]);
          return INPUTS;
        },
        free: proveAll(inTpm(free)),
        bound: proveAll(inTpm(bound, policy)),
        fallback: proveAll(fallback),
        unseal: async () => {
          (await openSealedVrf(tpm, sealed)).close();
          return 1;
        },
      },
      WAITING,
    );
    const peer = { name: 'one TPM command (PCR_Read)', samples: raced.commands };
    const names = {
      free: 'prove in swtpm, and verify (wall)',
      bound: 'prove in swtpm under PCRs, and verify (wall)',
      fallback: 'prove by a key unsealed before, and verify (wall)',
      unseal: 'unseal that key from PCRs (wall)',
    } as const;
    return (Object.keys(names) as (keyof typeof names)[]).map((row) =>
      rowOf({ group: 'vrf', unit: 'perS', own: { name: names[row], samples: raced[row] }, peer }),
    );
  } finally {
    await software.stop();
  }
}
