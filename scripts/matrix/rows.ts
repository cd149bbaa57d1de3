import { bootLogRows } from './boot-log.ts';
import { certificateRows } from './certificate.ts';
import { commandLineRows } from './command-line.ts';
import { documentRows } from './documents.ts';
import { eventLogRows } from './event-log.ts';
import { evidenceRows } from './evidence.ts';
import { imaRows } from './ima.ts';
import { issuedCertificateRows } from './issued-certificate.ts';
import { keyRows } from './keys.ts';
import { quoteRows } from './quote.ts';
import type { Row } from './row.ts';
import { sessionRows } from './session.ts';
import { signatureRows } from './signature.ts';
import { signedDocumentRows } from './signed-documents.ts';
import { signedQuoteRows } from './signed-quote.ts';
import { tpmRows } from './tpm.ts';

/** The negative matrix: every way to tamper with an artefact, and the code by which it is refused. */
export const rows: readonly Row[] = [
  ...quoteRows,
  ...signedQuoteRows,
  ...signatureRows,
  ...eventLogRows,
  ...bootLogRows,
  ...imaRows,
  ...keyRows,
  ...certificateRows,
  ...issuedCertificateRows,
  ...evidenceRows,
  ...documentRows,
  ...signedDocumentRows,
  ...tpmRows,
  ...sessionRows,
  ...commandLineRows,
];
