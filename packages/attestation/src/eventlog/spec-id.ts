import { algorithmById } from './algorithms.ts';
import type { SpecId } from './model.ts';
import { BodyError, LittleEndianReader, textOrNull } from './reader.ts';

const SIGNATURES = ['Spec ID Event00', 'Spec ID Event02', 'Spec ID Event03'] as const;
const SIGNATURE_BYTES = 16;
const PREFIX = 'Spec ID Event';
/** The parser allows 8; reading some more lets it say how many there were. */
const ALGORITHMS_READ_MAX = 64;

export function isSpecId(data: Uint8Array): boolean {
  return textOrNull(data.subarray(0, PREFIX.length)) === PREFIX;
}

/**
 * TCG_EfiSpecIdEvent and its two forerunners (TCG PFP 1.06, 10.4.5.1; TCG EFI Platform 1.22, 7.4; BIOS 1.21, 11.3.4.1).
 * Null when it cannot be read; `problem` then says why, and otherwise what is odd behind the algorithms. [LOG-2]
 */
export function parseSpecId(data: Uint8Array): { specId: SpecId | null; problem: string } {
  const reader = new LittleEndianReader(data);
  try {
    const text = textOrNull(reader.bytes(SIGNATURE_BYTES));
    const signature = SIGNATURES.find((known) => text === `${known}\0`);
    if (signature === undefined) throw new BodyError(`unknown signature ${JSON.stringify(text)}`);
    const platformClass = reader.u32();
    const [minor, major, errata, uintn] = [reader.u8(), reader.u8(), reader.u8(), reader.u8()];
    const algorithms = signature === 'Spec ID Event03' ? readAlgorithms(reader) : [];
    const { vendorInfo, problem } = readVendorInfo(reader);
    const uintnBytes = signature === 'Spec ID Event00' ? null : uintn === 1 ? 4 : uintn === 2 ? 8 : null;
    const version = `${major}.${minor}.${errata}`;
    return { specId: { signature, platformClass, version, uintnBytes, algorithms, vendorInfo }, problem };
  } catch (error) {
    if (error instanceof BodyError) return { specId: null, problem: `Spec ID event: ${error.message}` };
    throw error;
  }
}

function readAlgorithms(reader: LittleEndianReader): SpecId['algorithms'] {
  const count = reader.u32();
  if (count > ALGORITHMS_READ_MAX) throw new BodyError(`${count} algorithms`);
  return Array.from({ length: count }, () => {
    const id = reader.u16();
    return { id, bank: algorithmById(id)?.bank ?? null, digestBytes: reader.u16() };
  });
}

function readVendorInfo(reader: LittleEndianReader): { vendorInfo: Uint8Array; problem: string } {
  if (reader.remaining === 0)
    return { vendorInfo: new Uint8Array(0), problem: 'no size of the vendor information' };
  const size = reader.u8();
  const vendorInfo = reader.rest();
  const problem =
    vendorInfo.length === size ? '' : `vendor information: got ${vendorInfo.length} bytes, announced ${size}`;
  return { vendorInfo, problem };
}
