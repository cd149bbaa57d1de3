import { algorithmById, type Bank } from './algorithms.ts';
import { findEmptyDigests, isAll } from './empty-digests.ts';
import { EventLogError, type EventLogErrorCode } from './errors.ts';
import { EVENT_TYPE, eventTypeName } from './event-types.ts';
import type { EventLog, Finding, RawEvent, Registers, SpecId } from './model.ts';
import { isSpecId, parseSpecId } from './spec-id.ts';

/** Far above what firmware reserves for a log (64 KiB to some MiB), far below what would hurt the reader. [LOG-3] */
export const EVENTLOG_LIMITS = {
  bytes: 16 * 1024 * 1024,
  events: 65_536,
  eventDataBytes: 1024 * 1024,
  banks: 8,
} as const;

/** What cannot be seen in the log itself. */
export interface ParseOptions {
  /** `cc` for the CCEL table of a confidential VM, which looks the same. Default `pcr`. */
  readonly registers?: Registers;
}

const PCR_MAX = 23;
const CC_REGISTER_MAX = 4;
const NO_REGISTER = 0xffffffff;
const SHA1_BYTES = 20;
const SHA1_RECORD_BYTES = 8 + SHA1_BYTES + 4;
/** A record of PCR 0 cut short starts with up to four zero bytes, so fewer than eight are a cut, not padding. */
const ZERO_PADDING_BYTES_MIN = 8;
/** A PCR never starts with FF; the terminator of a CCEL table is one u32. */
const ONES_PADDING_BYTES_MIN = 4;
const STARTUP_LOCALITY = new TextEncoder().encode('StartupLocality\0');

/** A hash of the header, in the order of the header. */
interface HeaderAlgorithm {
  readonly id: number;
  readonly bank: Bank | null;
  readonly digestBytes: number;
}

/**
 * Parses a TCG event log: SHA-1 or crypto-agile, of a TPM or a confidential VM. The result is untrusted. Linear in the
 * length; copies the input once, so that nobody changes it afterwards. Throws `EventLogError` for a frame that is broken
 * anywhere; what is odd in a whole frame is a finding. [LOG-1]
 */
export function parseEventLog(bytes: Uint8Array, options: ParseOptions = {}): EventLog {
  if (bytes.length > EVENTLOG_LIMITS.bytes) {
    throw new EventLogError(
      'EVENTLOG_TOO_LARGE',
      `log: got ${bytes.length} bytes, want at most ${EVENTLOG_LIMITS.bytes}`,
    );
  }
  // Not slice(): that of a Node Buffer is a view.
  return new FrameParser(new Uint8Array(bytes), options.registers ?? 'pcr').parse();
}

/** The state of one pass over the frames. */
class FrameParser {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #registers: Registers;
  readonly #events: RawEvent[] = [];
  readonly #findings: Finding[] = [];
  #algorithms: readonly HeaderAlgorithm[] = [{ id: 0x0004, bank: 'sha1', digestBytes: SHA1_BYTES }];
  /** Where the zero bytes at the end of the file begin. */
  readonly #zerosAt: number;
  #offset = 0;
  #start = 0;
  #startupLocality: number | null = null;
  #isPcr0Extended = false;

  constructor(bytes: Uint8Array, registers: Registers) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#registers = registers;
    let zerosAt = bytes.length;
    while (zerosAt > 0 && bytes[zerosAt - 1] === 0) zerosAt--;
    this.#zerosAt = zerosAt;
  }

  parse(): EventLog {
    if (this.#isPaddingAhead()) throw this.#error('EVENTLOG_EMPTY', 'no event');
    const specId = this.#readHeader(this.#readSha1Record());
    const format = specId?.signature === 'Spec ID Event03' ? 'crypto-agile' : 'sha1';
    while (!this.#isPaddingAhead()) {
      if (this.#events.length >= EVENTLOG_LIMITS.events) {
        throw this.#error('EVENTLOG_TOO_LARGE', `got more than ${EVENTLOG_LIMITS.events} events`);
      }
      this.#accept(format === 'sha1' ? this.#readSha1Record() : this.#readAgileRecord());
    }
    const banks = this.#algorithms.flatMap(({ bank }) => (bank === null ? [] : [bank]));
    return {
      format,
      registers: this.#registers,
      banks,
      specId,
      startupLocality: this.#startupLocality,
      events: this.#events,
      findings: [...this.#findings, ...findEmptyDigests(this.#events, banks)],
    };
  }

  /** The first record is in SHA-1 form in every log, and says how the others are. TCG PFP 1.06, 10.4.5.1. */
  #readHeader(event: RawEvent): SpecId | null {
    const specId =
      event.type === EVENT_TYPE.EV_NO_ACTION && isSpecId(event.data) ? this.#parseSpecId(event.data) : null;
    if (specId === null) this.#find('header-missing', 'the first event is no Spec ID event');
    if (specId?.signature === 'Spec ID Event03') this.#algorithms = this.#checkAlgorithms(specId);
    this.#accept(event);
    return specId;
  }

  #parseSpecId(data: Uint8Array): SpecId {
    const { specId, problem } = parseSpecId(data);
    if (specId === null) throw this.#error('EVENTLOG_HEADER_INVALID', problem);
    if (problem !== '') this.#find('header-vendor-info', problem);
    return specId;
  }

  #checkAlgorithms({ algorithms }: SpecId): readonly HeaderAlgorithm[] {
    const { banks } = EVENTLOG_LIMITS;
    if (algorithms.length === 0 || algorithms.length > banks) {
      throw this.#error('EVENTLOG_HEADER_INVALID', `banks: got ${algorithms.length}, want 1 to ${banks}`);
    }
    if (new Set(algorithms.map(({ id }) => id)).size < algorithms.length) {
      throw this.#error('EVENTLOG_DUPLICATE_BANK', 'the header announces a bank twice');
    }
    for (const { id, bank, digestBytes } of algorithms) {
      const want = algorithmById(id)?.digestBytes;
      if (digestBytes === 0 || (want !== undefined && digestBytes !== want)) {
        throw this.#error(
          'EVENTLOG_HEADER_INVALID',
          `digest of ${hex(id, 4)}: got ${digestBytes} bytes, want ${want}`,
        );
      }
      if (bank === null)
        this.#find('algorithm-unknown', `hash ${hex(id, 4)} with ${digestBytes} bytes is skipped`);
    }
    if (algorithms.every(({ bank }) => bank === null)) {
      throw this.#error('EVENTLOG_ALGORITHM_UNKNOWN', 'the header announces no known hash');
    }
    return algorithms;
  }

  #readSha1Record(): RawEvent {
    this.#start = this.#offset;
    this.#want(SHA1_RECORD_BYTES);
    const [pcr, type] = [this.#u32(), this.#u32()];
    const digests = { sha1: this.#take(SHA1_BYTES) };
    return this.#event(pcr, type, digests);
  }

  #readAgileRecord(): RawEvent {
    this.#start = this.#offset;
    this.#want(12);
    const [pcr, type, count] = [this.#u32(), this.#u32(), this.#u32()];
    this.#checkRegister(pcr, type);
    const isEmpty = count === 0 && type !== EVENT_TYPE.EV_NO_ACTION;
    if (isEmpty || count > this.#algorithms.length) {
      throw this.#error(
        'EVENTLOG_DIGESTS_INVALID',
        `digests: got ${count}, the header announces ${this.#algorithms.length}`,
      );
    }
    const digests: Partial<Record<Bank, Uint8Array>> = {};
    const seen: number[] = [];
    for (let i = 0; i < count; i++) {
      this.#want(2);
      const id = this.#u16();
      const algorithm = this.#algorithms.find((candidate) => candidate.id === id);
      if (algorithm === undefined) {
        throw this.#error('EVENTLOG_ALGORITHM_UNKNOWN', `hash ${hex(id, 4)} is not in the header`);
      }
      if (seen.includes(id))
        throw this.#error('EVENTLOG_DUPLICATE_BANK', `two digests by hash ${hex(id, 4)}`);
      seen.push(id);
      this.#want(algorithm.digestBytes);
      const digest = this.#take(algorithm.digestBytes);
      if (algorithm.bank !== null) digests[algorithm.bank] = digest;
    }
    this.#want(4);
    return this.#event(pcr, type, digests);
  }

  /** The size and the data, which end a record of either form. */
  #event(pcr: number, type: number, digests: RawEvent['digests']): RawEvent {
    this.#checkRegister(pcr, type);
    const size = this.#u32();
    if (size > EVENTLOG_LIMITS.eventDataBytes) {
      throw this.#error(
        'EVENTLOG_TOO_LARGE',
        `event data: got ${size} bytes, want at most ${EVENTLOG_LIMITS.eventDataBytes}`,
      );
    }
    this.#want(size);
    const data = this.#take(size);
    const number = this.#events.length;
    return { number, offset: this.#start, pcr, type, typeName: eventTypeName(type), digests, data };
  }

  /** A number beyond the registers means that the frame is lost, but for events that extend none of them. [LOG-7] */
  #checkRegister(pcr: number, type: number): void {
    if (pcr <= (this.#registers === 'pcr' ? PCR_MAX : CC_REGISTER_MAX)) return;
    if (type === EVENT_TYPE.EV_NO_ACTION || isNvIndex(pcr)) return;
    throw this.#error('EVENTLOG_PCR_INVALID', `register: got ${hex(pcr, 8)}`);
  }

  #accept(event: RawEvent): void {
    this.#events.push(event);
    if (event.type === EVENT_TYPE.EV_NO_ACTION) this.#acceptNoAction(event);
    else if (event.pcr === 0) this.#isPcr0Extended = true;
  }

  #acceptNoAction(event: RawEvent): void {
    if (event.pcr > PCR_MAX && event.pcr !== NO_REGISTER && !isNvIndex(event.pcr)) {
      this.#find('no-action-pcr', `register ${hex(event.pcr, 8)}`, event);
    }
    if (Object.values(event.digests).some((digest) => !isAll(digest, 0))) {
      this.#find(event.number === 0 ? 'header-digest' : 'no-action-digest', 'the digest is not zero', event);
    }
    if (startsWith(event.data, STARTUP_LOCALITY)) this.#acceptLocality(event);
  }

  /** PCR 0 starts from the locality of TPM2_Startup, 0 or 3, or 4 after an H-CRTM. TCG PFP 1.06, 10.4.5.3. */
  #acceptLocality(event: RawEvent): void {
    const locality = event.data[STARTUP_LOCALITY.length];
    const isUsable = locality !== undefined && event.pcr === 0 && this.#startupLocality === null;
    if (!isUsable || this.#isPcr0Extended || ![0, 3, 4].includes(locality)) {
      this.#find('startup-locality', `startup locality ${locality} of PCR ${event.pcr}`, event);
    }
    if (isUsable) this.#startupLocality = locality;
  }

  /** The end: nothing is left, or one kind of padding and nothing else. Anything between is a broken log. [LOG-4] [LOG-5] */
  #isPaddingAhead(): boolean {
    const left = this.#bytes.length - this.#offset;
    if (left === 0) return true;
    const first = this.#bytes[this.#offset];
    if (left >= ZERO_PADDING_BYTES_MIN && this.#offset >= this.#zerosAt) {
      this.#find('padding-zeros', `${left} zero bytes at the end`);
      return true;
    }
    if (first === 0xff && left >= ONES_PADDING_BYTES_MIN && this.#hasTerminator()) {
      if (!isAll(this.#bytes.subarray(this.#offset, this.#zerosAt), 0xff)) {
        throw this.#error('EVENTLOG_TRAILING_DATA', `something follows the end at offset ${this.#offset}`);
      }
      this.#find('padding-ones', `${left} bytes of padding at the end, FF first`);
      return true;
    }
    return false;
  }

  /** FFFFFFFF where a register should be, and no no-action event behind it: Windows logs have those. */
  #hasTerminator(): boolean {
    if (this.#view.getUint32(this.#offset, true) !== NO_REGISTER) return false;
    const left = this.#bytes.length - this.#offset;
    return left < 8 ? true : this.#view.getUint32(this.#offset + 4, true) !== EVENT_TYPE.EV_NO_ACTION;
  }

  #want(length: number): void {
    const left = this.#bytes.length - this.#offset;
    if (length > left) throw this.#error('EVENTLOG_TRUNCATED', `wanted ${length} bytes, got ${left}`);
  }

  #u16(): number {
    this.#offset += 2;
    return this.#view.getUint16(this.#offset - 2, true);
  }

  #u32(): number {
    this.#offset += 4;
    return this.#view.getUint32(this.#offset - 4, true);
  }

  #take(length: number): Uint8Array {
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }

  #find(quirk: Finding['quirk'], message: string, event?: RawEvent): void {
    this.#findings.push({ quirk, event: event?.number ?? null, message });
  }

  #error(code: EventLogErrorCode, message: string): EventLogError {
    const event = this.#events.length;
    const text = `event ${event} at offset ${this.#start}: ${message}`;
    return new EventLogError(code, text, { data: { event, offset: this.#start } });
  }
}

/** TPM_HT_NV_INDEX: firmware may extend an NV index instead of a PCR (TCG PFP 1.06, 10.2). */
function isNvIndex(handle: number): boolean {
  return handle >>> 24 === 0x01;
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return bytes.length >= prefix.length && prefix.every((byte, i) => bytes[i] === byte);
}

function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}
