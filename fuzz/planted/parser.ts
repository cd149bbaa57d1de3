/** Parsers with a fault each, hidden behind conditions on several bytes: the proof that the search finds such. */
export class PlantedError extends Error {}

/** A record: magic, length, kind, body. */
function parseRecord(input: Uint8Array): { kind: number; body: Uint8Array } {
  const view = new DataView(input.buffer, input.byteOffset, input.length);
  if (input.length < 8) throw new PlantedError('too short');
  if (view.getUint32(0) !== 0x4e454d41) throw new PlantedError('magic');
  if (view.getUint16(4) !== input.length - 6) throw new PlantedError('length');
  return { kind: view.getUint16(6), body: input.subarray(8) };
}

export function throwsForeignError(input: Uint8Array): void {
  const { kind, body } = parseRecord(input);
  if (kind !== 0x0815) throw new PlantedError('kind');
  if (body[0] === 7 && body[1] === body[2]) body.subarray(3).at(-1)?.toFixed(101);
}

export function neverEnds(input: Uint8Array): void {
  const { kind, body } = parseRecord(input);
  if (kind !== 3) throw new PlantedError('kind');
  // A field of length 0 is never passed.
  for (let at = 0; at < body.length; ) at += body[at] ?? 1;
}

export function takesQuadraticTime(input: Uint8Array): void {
  const { body } = parseRecord(input);
  let sum = 0;
  for (const a of body) for (const b of body) for (const c of body) sum += a * b * c;
  if (sum === -1) throw new PlantedError('never');
}

export function allocatesWhatItIsTold(input: Uint8Array): Uint8Array {
  const { kind, body } = parseRecord(input);
  if (kind !== 0xbeef || body.length < 4) throw new PlantedError('kind');
  return new Uint8Array(new DataView(body.buffer, body.byteOffset).getUint32(0));
}

/** Reads what has two encodings: a leading zero is lost. */
export function readNumber(input: Uint8Array): bigint {
  const { kind, body } = parseRecord(input);
  if (kind !== 0x1001 || body.length !== 5) throw new PlantedError('kind');
  return body.reduce((value, byte) => (value << 8n) | BigInt(byte & 0x7f), 0n);
}
