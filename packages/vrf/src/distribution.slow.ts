import { describeDistribution } from './test-distribution.ts';

describeDistribution(1_000_000);
