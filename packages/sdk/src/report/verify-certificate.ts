import {
  AttestationError,
  checkAkPublic,
  QUOTED_PCRS,
  qualifyingData,
  verifyTpmSignature,
} from '@nemea/attestation';
import { type CleanupCertificate, parseCleanupCertificate, parseTaskSpec } from '@nemea/capsule';
import { bytesEqual, fromHex, toHex } from '@nemea/core';
import { akPublicArea, certificateBinding, type NodeRecord, type TaskOnLedger } from '@nemea/membership';
import { ALG, parseAttest, parseSignature, type QuoteAttest, TpmError } from '@nemea/tpm/structures';
import { examine, type Finding, type Lies } from './finding.ts';
import { hex0x, type Inquiry, nameOf } from './inquiry.ts';
import { taskOnLedger } from './verify-task.ts';

/** The executor's account of the run: its own TPM quoted the machine before and after, and nothing stayed behind. */
export function verifyCertificate(inquiry: Inquiry): Promise<Finding[]> {
  return examine('clean-up certificate', (lies) => {
    const { report, ledger } = inquiry;
    const certificate = lies.parsed('it', () => parseCleanupCertificate(fromHex(report.task.certificate)));
    const task = taskOnLedger(inquiry);
    if (certificate === undefined || task === undefined) return '';
    checkRun(inquiry, lies, certificate, task);
    const record = ledger.history.recordAt(hex0x(certificate.executor), ledger.history.head);
    if (!lies.unless(record !== undefined, `executor ${hex0x(certificate.executor)} is no member`)) return '';
    const before = checkQuote(inquiry, lies, record as NodeRecord, certificate, 'before');
    const after = checkQuote(inquiry, lies, record as NodeRecord, certificate, 'after');
    if (before !== undefined && after !== undefined) checkClocks(lies, before, after);
    const seconds = ((certificate.finishedAtMs - certificate.startedAtMs) / 1000).toFixed(1);
    return (
      `the TPM of ${nameOf(report, hex0x(certificate.executor))} quoted the same state before and after the run; ` +
      `${certificate.results.length} results, ${seconds} s by the executor's clock`
    );
  });
}

function checkRun(
  { report, ledger }: Inquiry,
  lies: Lies,
  certificate: CleanupCertificate,
  task: TaskOnLedger,
): void {
  const { history } = ledger;
  lies.unlessEqual('task', toHex(certificate.taskId), report.task.taskId);
  lies.unlessEqual('attempt', certificate.attempt, report.task.attempt);
  lies.unlessEqual('executor', hex0x(certificate.executor), report.task.election.executor);
  lies.unlessEqual('digest of the code', toHex(certificate.codeDigest), toHex(task.codeDigest));
  lies.unlessEqual('digest of the image', toHex(certificate.imageDigest), toHex(task.imageDigest));
  lies.unlessEqual('outcome', certificate.outcome.kind, 'completed');
  lies.unless(
    bytesEqual(certificate.snapshotBefore, certificate.snapshotAfter),
    'the state after the run is not the state before it',
  );
  const settled = history.events.find((it) => it.type === 'task-settled' && it.taskId === report.task.taskId);
  const block = settled?.block ?? history.head;
  lies.unless(
    history.approvedCodes(block).has(toHex(certificate.codeDigest)),
    'its code was not approved in PolicyRegistry',
  );
  lies.unless(
    history.approvedImages(block).has(toHex(certificate.imageDigest)),
    'its image was not approved in PolicyRegistry',
  );
  const spec = lies.parsed('task document', () => parseTaskSpec(task.spec));
  const receivers = spec?.receivers.map(({ key }) => toHex(key)).join(' ') ?? '';
  const delivered = certificate.results.map(({ receiver }) => toHex(receiver)).join(' ');
  lies.unlessEqual('receivers of results', delivered, receivers);
}

/** One quote: signed by the AK that layer 1 holds for the executor, over this run, phase and state. */
function checkQuote(
  { ledger }: Inquiry,
  lies: Lies,
  record: NodeRecord,
  certificate: CleanupCertificate,
  phase: 'before' | 'after',
): QuoteAttest | undefined {
  const { attest, signature } = phase === 'before' ? certificate.quoteBefore : certificate.quoteAfter;
  const state = phase === 'before' ? certificate.snapshotBefore : certificate.snapshotAfter;
  if (
    !lies.unless(isSignedBy(record, attest, signature), `quote ${phase} is not signed by the executor's AK`)
  )
    return;
  const quote = lies.parsed(`quote ${phase}`, () => parseAttest(attest));
  if (quote === undefined) return undefined;
  if (quote.type !== 'quote') {
    lies.add(`quote ${phase} is a ${quote.type}`);
    return undefined;
  }
  const binding = certificateBinding(certificate.taskId, certificate.attempt, phase, state);
  const want = qualifyingData({ networkId: ledger.networkId, challenge: certificate.taskId, binding });
  lies.unless(bytesEqual(quote.extraData, want), `quote ${phase} was made for another task, phase or state`);
  const [selection, ...others] = quote.pcrSelections;
  lies.unless(
    others.length === 0 &&
      selection?.hashAlg === ALG.sha256 &&
      selection.pcrs.join(' ') === QUOTED_PCRS.join(' '),
    `quote ${phase} covers other registers`,
  );
  return quote;
}

function isSignedBy(record: NodeRecord, attest: Uint8Array, signature: Uint8Array): boolean {
  try {
    const area = checkAkPublic(akPublicArea(record.akX, record.akY));
    return verifyTpmSignature(area, parseSignature(signature), attest);
  } catch (error) {
    if (error instanceof TpmError || error instanceof AttestationError) return false;
    throw error;
  }
}

/** One TPM, not reset in between, and time went on. */
function checkClocks(lies: Lies, before: QuoteAttest, after: QuoteAttest): void {
  lies.unless(
    before.clockInfo.resetCount === after.clockInfo.resetCount &&
      before.clockInfo.clock <= after.clockInfo.clock,
    'the TPM was reset during the run, or its clock ran backwards',
  );
}
