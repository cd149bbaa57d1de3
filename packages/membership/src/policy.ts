import { type AppraisalPolicy, LEVEL, parsePolicy, QUOTED_PCRS } from '@nemea/attestation';

/**
 * The appraisal policy that all members judge by. Reference values come from PolicyRegistry on layer 1; it has none of
 * firmware, so a measured boot must be explained and secure, but its keys and loaders are not compared.
 */
export const judgingPolicy: AppraisalPolicy = parsePolicy({
  version: 1,
  levelMin: LEVEL.development,
  clock: { unsafe: 'warn' },
  pcrs: { sha256: QUOTED_PCRS },
  firmware: { unmeasured: 'allow', keys: 'any', authorities: 'any', loaders: 'any', findings: 'any' },
  ima: { list: 'not-demanded' },
});
