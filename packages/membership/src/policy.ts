/** The appraisal policy that all members judge by. Reference values come from PolicyRegistry. */
export const judgingPolicy = { levelMin: 1 } as const;
