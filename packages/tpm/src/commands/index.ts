/**
 * Every command of TPM 2.0 Part 3 by its name in the specification, typed, for `Tpm.run`:
 *
 *     const { quoted, signature } = await tpm.run(Quote, { handles: { signHandle: ak }, parameters: { PCRselect } });
 *
 * Left out are field upgrade and attached components, which no TPM for PCs has.
 */
export * from './attestation.ts';
export * from './capability.ts';
export * from './cipher.ts';
export * from './clock.ts';
export * from './context.ts';
export * from './credential.ts';
export * from './dictionary-attack.ts';
export * from './duplication.ts';
export * from './ecc.ts';
export * from './hash.ts';
export * from './hierarchy.ts';
export * from './nv.ts';
export * from './object.ts';
export * from './pcr.ts';
export * from './policy.ts';
export * from './random.ts';
export * from './rsa.ts';
export * from './session.ts';
export * from './sign.ts';
export * from './startup.ts';
