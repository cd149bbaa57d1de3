import { type AppraisalPolicy, LEVEL } from '@nemea/attestation';

/** The appraisal policy that all members judge by. Reference values come from PolicyRegistry on layer 1. */
export const judgingPolicy: AppraisalPolicy = {
  levelMin: LEVEL.development,
};
