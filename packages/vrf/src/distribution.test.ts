import { describeDistribution } from './test-distribution.ts';

// The million is `npm run test:slow -- packages/vrf`.
describeDistribution(64_000);
