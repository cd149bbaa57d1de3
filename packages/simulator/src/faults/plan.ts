import type { SeededRandom } from '../kernel/random.ts';

/** Everything that can go wrong around a member that follows the rules. */
export const FAULTS = [
  'delay',
  'loss',
  'duplication',
  'reordering',
  'partition',
  'one-way',
  'deafness',
  'flapping',
  'clogged-link',
  'crash',
  'torn-write',
  'disk-full',
  'clock-skew',
  'clock-drift',
  'tpm-reset',
  'tpm-lock-out',
  'rpc-slow',
  'rpc-down',
  'slow-sandbox',
  'littering-sandbox',
  'failing-sandbox',
  'owner-crash',
] as const;
export type Fault = (typeof FAULTS)[number];

/** How a member can break the rules where tasks are run. */
export const TASK_VILLAINS = [
  'stalling',
  'boasting',
  'smuggling',
  'careless-verifier',
  'withholding-verifier',
] as const;
export type TaskVillain = (typeof TASK_VILLAINS)[number];

/** How a member can break the rules, or be so broken that it counts as one that does. */
export const VILLAINS = [
  'silent',
  'equivocating',
  'amnesiac',
  'lost-tail',
  'lying-attestor',
  'false-vrf',
  'stale-evidence',
  'tampered',
  'replaying',
  'vote-withholding',
  'spamming',
  'bit-rot',
  'tpm-roll-back',
] as const;

/** How a stranger can try to get in that nobody may let in. */
export const IMPOSTORS = ['self-endorsed', 'borrowed-endorsement', 'tampered'] as const;
/** How a newcomer can break the rules once it is in. */
const BAD_NEWCOMERS = ['silent', 'vote-withholding', 'lying-attestor'] as const;
export type Villain = (typeof VILLAINS)[number] | TaskVillain | (typeof IMPOSTORS)[number];

/** What one seed does to a network. */
export interface Plan {
  readonly nodes: number;
  /** Machines that apply for membership while the network runs. */
  readonly strangers: number;
  readonly epochMs: number;
  /** A founder that gives up membership. */
  readonly leaver?: string;
  /** Whether a new release is rolled out, and the old one withdrawn. */
  readonly isUpdated: boolean;
  readonly faults: ReadonlySet<Fault>;
  /** By the host's name. Those that are members weigh less than a third together, however many they are. */
  readonly villains: ReadonlyMap<string, Villain>;
  /** Whether owners of data order tasks; where one refuses, it is the last of them, and gives no key to anybody. */
  readonly owners: 'idle' | 'ordering' | 'refusing';
  /** `safety`: faults until the end. `liveness`: they stop, and the network must go on. */
  readonly mode: 'safety' | 'liveness';
  readonly faultsMs: number;
}

/** Whether a host is no founder, and such that no judge may let it in. */
export function isImpostor({ nodes, villains }: Pick<Plan, 'nodes' | 'villains'>, name: string): boolean {
  const villain = villains.get(name);
  return Number(name.slice(1)) >= nodes && IMPOSTORS.some((kind) => kind === villain);
}

/** Swarm style: each seed leaves out about half of what can go wrong, so that no fault hides another. */
export function drawPlan(random: SeededRandom): Plan {
  const nodes = random.chance(0.75) ? 4 : 7;
  const owners = random.pick(['idle', 'ordering', 'ordering', 'refusing'] as const);
  const kinds: readonly Villain[] = owners !== 'idle' && random.chance(0.5) ? TASK_VILLAINS : VILLAINS;
  const bad = badFounders(random, nodes, kinds);
  const leaver = drawLeaver(random, nodes, bad);
  const { strangers, bad: badStrangers } = drawStrangers(random, nodes);
  return {
    nodes,
    strangers,
    ...(leaver === undefined ? {} : { leaver }),
    isUpdated: random.chance(0.15),
    epochMs: random.pick([6_000, 10_000]),
    faults: new Set(FAULTS.filter(() => random.chance(0.4))),
    villains: new Map([...bad, ...badStrangers]),
    mode: random.chance(0.5) ? 'safety' : 'liveness',
    faultsMs: random.integer(20, 40) * 1_000,
    owners,
  };
}

function badFounders(random: SeededRandom, nodes: number, kinds: readonly Villain[]): Map<string, Villain> {
  const tolerated = Math.floor((nodes - 1) / 3);
  const count = random.chance(0.7) ? tolerated : random.integer(0, tolerated);
  const villains = new Map<string, Villain>();
  while (villains.size < count) villains.set(`n${random.integer(0, nodes - 1)}`, random.pick(kinds));
  return villains;
}

/** Who leaves may be off before the others have let it go: it counts among those that may fail. */
function drawLeaver(
  random: SeededRandom,
  nodes: number,
  bad: ReadonlyMap<string, Villain>,
): string | undefined {
  const leaver = `n${random.integer(0, nodes - 1)}`;
  const isTolerated = bad.size < Math.floor((nodes - 1) / 3) && !bad.has(leaver);
  return isTolerated && random.chance(0.4) ? leaver : undefined;
}

/** A newcomer weighs a tenth of a founder: there may be nearly as many bad ones as there are good founders. */
function drawStrangers(
  random: SeededRandom,
  nodes: number,
): { strangers: number; bad: Map<string, Villain> } {
  const isCrowd = random.chance(0.2);
  const crowd = random.pick(BAD_NEWCOMERS);
  const crowdCount = nodes === 4 ? 3 : 2;
  const strangers = isCrowd ? crowdCount : random.chance(0.3) ? random.integer(1, 2) : 0;
  const bad = new Map<string, Villain>();
  for (let index = nodes; index < nodes + strangers; index++) {
    if (isCrowd) bad.set(`n${index}`, crowd);
    else if (random.chance(0.4)) bad.set(`n${index}`, random.pick(IMPOSTORS));
  }
  return { strangers, bad };
}

export function describePlan(plan: Plan): string {
  const { nodes, strangers, leaver, isUpdated, epochMs, faults, villains, mode, faultsMs, owners } = plan;
  const bad = [...villains].map(([name, villain]) => `${name} ${villain}`).join(', ') || 'nobody';
  const list = [...faults].join(' ') || 'none';
  const change = [leaver === undefined ? '' : `, ${leaver} leaves`, isUpdated ? ', a new release' : ''].join(
    '',
  );
  return `${mode}: ${nodes} founders, ${strangers} strangers${change}, owners ${owners}, epochs of ${epochMs} ms, faults for ${faultsMs} ms: ${list}; against the rules: ${bad}`;
}
