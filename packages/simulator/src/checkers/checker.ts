import type { World } from '../world/world.ts';

/** A rule that was broken: the run has failed. */
export interface Violation {
  readonly checker: string;
  readonly detail: string;
}

/** What checkers report to, and who in this run is bound by the rules. */
export interface Verdicts {
  readonly world: World;
  /** Names of hosts that follow the rules, however unlucky they are. */
  readonly honest: ReadonlySet<string>;
  /** Names of hosts that nobody may let in. */
  readonly impostors: ReadonlySet<string>;
  fail(checker: string, detail: string): void;
}
