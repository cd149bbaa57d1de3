/**
 * What real firmware does although the profile says otherwise, by id. An oddity is told, never hidden, and never
 * refuses a log. [LOG-16]
 */
export const QUIRKS = {
  'algorithm-unknown': 'the header announces a hash that is unknown here; its digests are skipped',
  'body-odd': 'the body decodes, but something in it does not fit',
  'body-undecodable': 'the body does not decode as its type says; the raw bytes are kept',
  'digest-mismatch': 'the digest is not the hash of what the type says is measured',
  'digest-missing': 'an event, or every one, has no digest for a bank that the header announces',
  'digest-constant': 'the digest is all zeros or all ones',
  'digest-of-other-part': 'the digest covers another part of the data than the type says',
  'exit-boot-services-missing': 'the log ends before ExitBootServices, PCR 5 does not',
  'header-missing': 'the log does not start with a Spec ID event',
  'header-digest': 'the digest of the Spec ID event is not zero',
  'header-vendor-info': 'the size of the vendor information does not fit the header',
  'no-action-digest': 'a no-action event has a digest that is not zero',
  'no-action-pcr': 'a no-action event names a register that does not exist',
  'padding-ones': 'the log is padded with FF bytes',
  'padding-zeros': 'the log is padded with zero bytes',
  'separator-error': 'the firmware measured an error separator',
  'separator-missing': 'a PCR of the firmware has events and no separator',
  'separator-size': 'a separator is not four bytes',
  'startup-locality': 'the startup locality is late, repeated, or none that a TPM can start from',
  'type-unknown': 'the event type is neither of the profile nor of a dynamic launch',
} as const;

/** The id of an oddity [LOG-16]. */
export type QuirkId = keyof typeof QUIRKS;
