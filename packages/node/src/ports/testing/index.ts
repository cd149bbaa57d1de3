/** For tests: the rules that every adapter of a port keeps, the real one and the simulator's twin alike. */
export { deviceCompliance } from './device-compliance.ts';
export { type ComplianceCase, journalCompliance } from './journal-compliance.ts';
