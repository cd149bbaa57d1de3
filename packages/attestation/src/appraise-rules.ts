/** The claim that the policy's own rules hold of what was established. */
import { toHex } from '@nemea/core';
import type { QuoteAttest } from '@nemea/tpm/structures';
import type { Appraisal } from './appraisal.ts';
import type { BootFacts } from './boot-facts.ts';
import { affirm, claimOf, leaveOut, notDemanded, printable, refuse } from './claim.ts';
import type { MeasuredEvent } from './evidence.ts';
import type { AppraisedClaim } from './result.ts';
import { evaluateRule, type Facts } from './rules.ts';

export interface RuleGround {
  readonly quote: QuoteAttest | null;
  readonly boot: BootFacts;
  readonly ima: { readonly entries: number; readonly violations: number } | null;
  readonly measuredLog: AppraisedClaim;
}

/** `isEstablished`: the claims that the facts come from affirm, so that no rule reads what nobody vouches for. */
export function appraiseRules(input: Appraisal, ground: RuleGround, isEstablished: boolean): AppraisedClaim {
  const { rules } = input.policy;
  const claim = claimOf('rules', 'policy.rules', rules.length, null);
  if (!isEstablished || ground.quote === null) return leaveOut(claim);
  if (rules.length === 0) return notDemanded(claim, 'the policy has no rules of its own');
  const facts = factsOf(input, ground.quote, ground);
  for (const { id, expression, why } of rules) {
    const answer = evaluateRule(expression, facts);
    if (answer === true) continue;
    const broken = claimOf('rules', `policy.rules ${id}`, null, printable(expression, 500));
    return answer === false
      ? refuse(broken, 'RULE_BROKEN', `${id}: ${printable(why)}`)
      : refuse(broken, 'RULE_FAILED', `${id}: ${printable(answer.failed)}`);
  }
  return affirm(claim, `${rules.length} rules hold`);
}

function factsOf(input: Appraisal, quote: QuoteAttest, { boot, ima, measuredLog }: RuleGround): Facts {
  const { evidence, endorsements } = input;
  const { clock, resetCount, restartCount, safe } = quote.clockInfo;
  const log = measuredLog.reason === 'OK' ? evidence.log : [];
  return {
    level: BigInt(endorsements.level),
    clock: {
      clock,
      resetCount: BigInt(resetCount),
      restartCount: BigInt(restartCount),
      safe,
      firmwareVersion: quote.firmwareVersion,
    },
    pcrs: Object.fromEntries([
      ...evidence.pcrs.map(({ pcr, value }) => [`sha256:${pcr}`, toHex(value)] as const),
      ...(evidence.pcrsSha384 ?? []).map(({ pcr, value }) => [`sha384:${pcr}`, toHex(value)] as const),
    ]),
    boot: {
      measured: boot.isMeasured,
      secureBoot: boot.secureBoot,
      commandLines: boot.commandLines.map(({ text }) => text),
      loaders: boot.loaders.map(({ name, digest }) => ({ path: name, digest })),
      authorities: boot.authorities.map(({ name, digest }) => ({ name, digest })),
      keys: boot.keys.map(({ name, digest }) => ({ name, digest })),
      events: boot.events.map(({ number, pcr, typeName }) => ({
        number: BigInt(number),
        pcr: BigInt(pcr),
        type: typeName,
      })),
      findings: boot.findings.map(({ quirk }) => quirk),
    },
    ima: ima === null ? {} : { entries: BigInt(ima.entries), violations: BigInt(ima.violations) },
    releases: digestsOf(log, 'release'),
    images: digestsOf(log, 'image'),
  };
}

function digestsOf(log: readonly MeasuredEvent[], kind: MeasuredEvent['kind']): string[] {
  return log.filter((event) => event.kind === kind).map(({ digest }) => toHex(digest));
}
