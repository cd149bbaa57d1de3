import { quoteRows } from './quote.ts';
import type { Row } from './row.ts';
import { signatureRows } from './signature.ts';

/** The negative matrix: every way to tamper with an artefact, and the code by which it is refused. */
export const rows: readonly Row[] = [...quoteRows, ...signatureRows];
