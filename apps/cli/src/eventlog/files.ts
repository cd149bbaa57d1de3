import type { Bank, QuotedPcr } from '@nemea/attestation/eventlog';
import { fromHex } from '@nemea/core';
import { FileError, readFile, readText } from '../files.ts';

const PCRS_BYTES_MAX = 1 << 16;
const DIGEST_BYTES: Readonly<Record<Bank, number>> = {
  sha1: 20,
  sha256: 32,
  sha384: 48,
  sha512: 64,
  sm3_256: 32,
  sha3_256: 32,
  sha3_384: 48,
  sha3_512: 64,
};

export function readLogFile(path: string, bytesMax: number): Uint8Array {
  return readFile(path, { bytesMax, code: 'EVENTLOG_UNREADABLE', codeTooLarge: 'EVENTLOG_TOO_LARGE' });
}

/**
 * PCR values to compare with: JSON as `nemea eventlog --json` or `nemea quote` print it, {"sha256": {"0": HEX}}, or the
 * text that tpm2_pcrread prints.
 */
export function readPcrsFile(path: string): QuotedPcr[] {
  const text = readText(path, { bytesMax: PCRS_BYTES_MAX, code: 'PCRS_UNREADABLE' });
  const values = text.trimStart().startsWith('{') ? fromJson(path, text) : fromPcrRead(text);
  if (values.length === 0) throw new FileError('PCRS_UNREADABLE', `${path}: no PCR value`);
  return values.map(([bank, pcr, hex]) => toQuoted(path, bank, pcr, hex));
}

type Entry = readonly [bank: string, pcr: string, hex: string];

function fromJson(path: string, text: string): Entry[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FileError('PCRS_UNREADABLE', `${path}: no JSON`, { cause });
  }
  const banks = isRecord(value) && isRecord(value.pcrs) ? value.pcrs : value;
  if (!isRecord(banks)) return [];
  return Object.entries(banks).flatMap(([bank, pcrs]) =>
    isRecord(pcrs) ? Object.entries(pcrs).map(([pcr, hex]): Entry => [bank, pcr, String(hex)]) : [],
  );
}

/** `  sha256:` and then `    0 : 0x3D45...` for each PCR. */
function fromPcrRead(text: string): Entry[] {
  const entries: Entry[] = [];
  let bank = '';
  for (const line of text.split('\n')) {
    bank = /^\s*(\w+):\s*$/.exec(line)?.[1] ?? bank;
    const value = /^\s*(\d+)\s*:\s*(0x[0-9a-fA-F]+)\s*$/.exec(line);
    if (value !== null) entries.push([bank, value[1] as string, value[2] as string]);
  }
  return entries;
}

function toQuoted(path: string, bank: string, pcr: string, hex: string): QuotedPcr {
  if (!isBank(bank) || !/^\d{1,2}$/.test(pcr) || !/^(?:0x)?(?:[0-9a-fA-F]{2})+$/.test(hex)) {
    throw new FileError('PCRS_UNREADABLE', `${path}: bank ${bank}, PCR ${pcr}: no known bank, or no value`);
  }
  const value = fromHex(hex);
  if (value.length !== DIGEST_BYTES[bank]) {
    throw new FileError('PCRS_UNREADABLE', `${path}: bank ${bank}, PCR ${pcr}: got ${value.length} bytes`);
  }
  return { bank, pcr: Number(pcr), value };
}

function isBank(name: string): name is Bank {
  return Object.hasOwn(DIGEST_BYTES, name);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
