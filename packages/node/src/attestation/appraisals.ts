import {
  type AttestationResult,
  appraise,
  type ClockRecord,
  encodeResult,
  parseEvidence,
  toAssuranceLevel,
} from '@nemea/attestation';
import { errorCode, hashDomain, toHex } from '@nemea/core';
import { akPublicArea, judgingPolicy, type Member } from '@nemea/membership';
import type { Ledger } from '@nemea/sdk';
import type { Members } from '../peers/members.ts';
import type { Clock } from '../ports/clock.ts';
import type { EvidenceBinding, EvidenceVerdict } from '../ports/transport.ts';

/** Evidence of one TPM may arrive in another order than it was made; a roll-back is larger than that. */
const CLOCK_SLACK_MS = 15_000n;

/** This node's own judgements of the others: by the agreed policy, and by the TPM clocks that it has seen. */
export class Appraisals {
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #members: Members;
  readonly #clocks = new Map<string, ClockRecord>();
  readonly #judged = new Map<string, AttestationResult>();

  constructor(ledger: Ledger, clock: Clock, members: Members) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#members = members;
  }

  appraiseMember(
    member: Member,
    evidence: Uint8Array,
    expected: { challenge: Uint8Array; binding: Uint8Array },
  ): AttestationResult {
    const { history, networkId } = this.#ledger;
    const result = appraise({
      evidence: parseEvidence(evidence),
      endorsements: { akPublic: akPublicArea(member.akX, member.akY), level: toAssuranceLevel(member.level) },
      referenceValues: {
        releases: history.approvedReleases(history.head),
        images: history.approvedImages(history.head),
      },
      policy: judgingPolicy,
      expected: { networkId, ...expected },
      clockBefore: withSlack(this.#clocks.get(member.account)),
      nowMs: this.#clock.wallMs(),
    });
    this.#judged.set(member.account, result);
    if (result.authentic && result.clock !== null) this.#rememberClock(member.account, result.clock);
    return result;
  }

  /** Judges the evidence that a peer shows in a handshake. */
  async verifySession(evidence: Uint8Array, binding: EvidenceBinding): Promise<EvidenceVerdict> {
    const member = this.#members.byPeer(binding.remote);
    if (member === undefined)
      return { ok: false, code: 'NOT_A_MEMBER', detail: `${binding.remote} is no member` };
    try {
      const result = this.appraiseMember(member, evidence, {
        challenge: binding.challenge,
        binding: sessionBinding(binding.remote, binding.self),
      });
      if (result.verdict !== 'contraindicated') return { ok: true };
      const failed = result.claims.filter((claim) => claim.verdict === 'contraindicated');
      return {
        ok: false,
        code: failed[0]?.reason ?? 'EVIDENCE_REFUSED',
        detail: failed.map((claim) => `${claim.name}: ${claim.detail}`).join('; '),
      };
    } catch (error) {
      return { ok: false, code: errorCode(error), detail: 'evidence cannot be read' };
    }
  }

  /** How often a member's TPM had started when this node last saw a quote of it; undefined before the first. */
  resetCountOf(account: string): number | undefined {
    return this.#clocks.get(account)?.resetCount;
  }

  /** The newest result about each other node: its canonical bytes in hex, for `parseResult`. */
  newest(): { readonly account: string; readonly result: string }[] {
    return [...this.#judged].map(([account, result]) => ({ account, result: toHex(encodeResult(result)) }));
  }

  #rememberClock(account: string, clock: ClockRecord): void {
    const known = this.#clocks.get(account);
    const isNewer =
      known === undefined ||
      clock.resetCount > known.resetCount ||
      (clock.resetCount === known.resetCount && clock.clock > known.clock);
    if (isNewer) this.#clocks.set(account, clock);
  }
}

/** What the evidence of a handshake is bound to: who shows it to whom. */
export function sessionBinding(prover: string, verifier: string): Uint8Array {
  return hashDomain('nemea/session/1', new TextEncoder().encode(prover), new TextEncoder().encode(verifier));
}

function withSlack(record: ClockRecord | undefined): ClockRecord | undefined {
  if (record === undefined) return undefined;
  return { ...record, clock: record.clock > CLOCK_SLACK_MS ? record.clock - CLOCK_SLACK_MS : 0n };
}
