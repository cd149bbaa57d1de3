/** A class of errors by which a parser refuses input. */
export type Refusal = abstract new (...args: never[]) => Error;

/** One way of foreign bytes into the system. */
export interface Target {
  /** `group/name`; the group is the file in `targets` that it is in. */
  readonly name: string;
  /** Inputs to start from. At least one is accepted, so that the run begins behind the first refusals. */
  readonly seeds: readonly Uint8Array[];
  /** Takes any bytes. Throws one of `refusals`, or it has found something: its own checks throw plain errors. */
  readonly run: (input: Uint8Array) => void;
  readonly refusals: readonly Refusal[];
  /** What mutations keep whole more often than not; `bytes` when left out. */
  readonly form?: Form;
  readonly inputBytesMax?: number;
  readonly budget?: Partial<Budget>;
}

export type Form = 'bytes' | 'cbor' | 'der' | 'json';

/** What one execution may take: a fixed part and a part for each byte of input, so that only linear work fits. */
export interface Budget {
  readonly cpuMs: number;
  readonly cpuMsPerKib: number;
  readonly allocatedBytes: number;
  readonly allocatedBytesPerByte: number;
}

export const DEFAULT_INPUT_BYTES_MAX = 8192;
/** Generous: software runs at a tenth of its speed before it is compiled, and only growth matters. */
export const DEFAULT_BUDGET: Budget = {
  cpuMs: 100,
  cpuMsPerKib: 25,
  allocatedBytes: 16 * 2 ** 20,
  allocatedBytesPerByte: 2048,
};

/** Input that is not of the form that its parser takes, such as text that is no JSON: nothing was tried. */
export class NotOfForm extends Error {}

/** Feeds what `parse` accepted to `use`; whatever `use` throws is a finding, even one of the parser's own errors. */
export function afterParsing<T>(
  parse: (input: Uint8Array) => T,
  use: (parsed: T, input: Uint8Array) => void,
): (input: Uint8Array) => void {
  return (input) => {
    const parsed = parse(input);
    try {
      use(parsed, input);
    } catch (cause) {
      throw new Error(`after parsing: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  };
}
