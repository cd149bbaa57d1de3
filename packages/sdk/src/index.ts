/**
 * What an application or an operator holds in the hand: layer 1 as a typed client, the light history that nodes build
 * on, and the relying party's verification. Trusts the layer-1 RPC that it is given, and nothing a node says.
 */
export * from './client/ledger.ts';
export * from './ledger/history.ts';
export * from './ledger/network.ts';
export * from './ledger/votes.ts';
export type { Finding } from './report/finding.ts';
export { parseReport, type Report, ReportError, reportSchema } from './report/report.ts';
export { verifyReport } from './report/verify.ts';
