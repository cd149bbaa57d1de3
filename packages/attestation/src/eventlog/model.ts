import type { Verified } from '@nemea/core';
import type { Bank } from './algorithms.ts';
import type { QuirkId } from './quirks.ts';

/** One record as the firmware wrote it. Nothing in it is true before its PCR is replayed to a quoted value. */
export interface RawEvent {
  /** Position in the log, from 0; the Spec ID event counts. */
  readonly number: number;
  /** Byte offset of the record. */
  readonly offset: number;
  /** The PCR, the measurement register of a confidential VM, or the NV index that was extended. */
  readonly pcr: number;
  readonly type: number;
  readonly typeName: string;
  readonly digests: Readonly<Partial<Record<Bank, Uint8Array>>>;
  readonly data: Uint8Array;
}

/** Something that a real firmware does although its specification says otherwise. It never refuses a log. */
export interface Finding {
  readonly quirk: QuirkId;
  /** Number of the event, or null when it concerns the whole log. */
  readonly event: number | null;
  readonly message: string;
}

/** The log's header: which specification it follows, and which banks it has. */
export interface SpecId {
  readonly signature: 'Spec ID Event00' | 'Spec ID Event02' | 'Spec ID Event03';
  readonly platformClass: number;
  /** Major, minor and errata, as `2.0.106`. */
  readonly version: string;
  /** Bytes of a UINTN of the platform: 4 or 8; null in a BIOS log. */
  readonly uintnBytes: 4 | 8 | null;
  /** Every hash that the header announces, also one that is unknown here (bank null). */
  readonly algorithms: readonly {
    readonly id: number;
    readonly bank: Bank | null;
    readonly digestBytes: number;
  }[];
  readonly vendorInfo: Uint8Array;
}

/**
 * What the events extend: the PCRs of a TPM, or the measurement registers of a confidential VM, by their UEFI index
 * (0 the build-time register, 1 to 4 the run-time ones).
 */
export type Registers = 'pcr' | 'cc';

/** An untrusted log, whole and in order. */
export interface EventLog {
  readonly format: 'sha1' | 'crypto-agile';
  readonly registers: Registers;
  /** Known banks in the order of the header. */
  readonly banks: readonly Bank[];
  readonly specId: SpecId | null;
  /** Locality of TPM2_Startup, null when the log does not say. */
  readonly startupLocality: number | null;
  readonly events: readonly RawEvent[];
  /** Oddities of the frame. `inspectEventLog` adds those of the bodies. */
  readonly findings: readonly Finding[];
}

/** A register value that somebody vouches for: an authenticated quote, or the caller. */
export interface QuotedPcr {
  readonly bank: Bank;
  readonly pcr: number;
  readonly value: Uint8Array;
}

/** A register that the log does not lead to. */
export interface PcrMismatch {
  readonly bank: Bank;
  readonly pcr: number;
  readonly want: Uint8Array;
  /** Null when the log has no such bank, or lacks a digest for it. */
  readonly got: Uint8Array | null;
}

/**
 * One event whose digest went into a register that replays to its quoted value. Its number, type and order within the
 * register are the log's word; only the digests, and the bytes in `measured`, are authenticated.
 */
export interface ReplayedEvent {
  readonly number: number;
  readonly pcr: number;
  readonly type: number;
  readonly typeName: string;
  /** Digests of the quoted banks only. */
  readonly digests: Readonly<Partial<Record<Bank, Uint8Array>>>;
  readonly data: Uint8Array;
  /** The part of `data` whose hash is the digest: all of it, or the part that the type measures. Null: none. */
  readonly measured: Uint8Array | null;
  /** `measured` is not null: what the event type defines as measured may be believed. */
  readonly dataVerified: boolean;
}

/** Events and the values that they lead to; true only as a `VerifiedBoot`. */
export interface ReplayedEvents {
  readonly registers: Registers;
  readonly pcrs: readonly QuotedPcr[];
  /** Events of those registers, in the order of the log. No-action events extend nothing and are never here. */
  readonly events: readonly ReplayedEvent[];
  readonly findings: readonly Finding[];
}

/** Events that replay to values which the caller vouches for. Minted by `verifyEventLog` alone. */
export type VerifiedBoot = Verified<ReplayedEvents>;

/** A verified boot, or what differs. */
export type EventLogVerification =
  | { readonly ok: true; readonly boot: VerifiedBoot }
  | { readonly ok: false; readonly mismatches: readonly PcrMismatch[] };
