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
  'blackout',
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

/** How an executor can break the rules: whoever does one of these never comes to those after it. */
const BAD_EXECUTORS = ['stalling', 'boasting', 'smuggling'] as const;
/** How a member can break the rules where tasks are run. */
export const TASK_VILLAINS = [...BAD_EXECUTORS, 'careless-verifier', 'withholding-verifier'] as const;
export type TaskVillain = (typeof TASK_VILLAINS)[number];

/** How a member can lie where the network agrees. */
export const LIES = ['lying-attestor', 'replaying', 'vote-withholding', 'spamming'] as const;
/** Lies that are proven, so that whoever tells them has soon no more say. */
export const PROVABLE_LIES = ['false-vrf', 'stale-evidence'] as const;
/** How a machine can be so broken, or be run so, that it counts as one that breaks the rules. */
export const BREAKAGES = [
  'silent',
  'equivocating',
  'amnesiac',
  'lost-tail',
  'tampered',
  'bit-rot',
  'tpm-roll-back',
] as const;

/** How a stranger can try to get in that nobody may let in. */
export const IMPOSTORS = ['self-endorsed', 'borrowed-endorsement', 'tampered'] as const;
/** How a stranger that may be let in can try to be a member at nobody's risk. */
export const FREE_RIDERS = ['fleeing'] as const;
/** How a newcomer can break the rules once it is in. */
const BAD_NEWCOMERS = ['silent', 'vote-withholding', 'lying-attestor'] as const;
export type Villain =
  | (typeof LIES)[number]
  | (typeof PROVABLE_LIES)[number]
  | (typeof BREAKAGES)[number]
  | TaskVillain
  | (typeof IMPOSTORS)[number]
  | (typeof FREE_RIDERS)[number];

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
  /** What each does, by the host's name. Those that are members weigh less than a third together, however many they are. */
  readonly villains: ReadonlyMap<string, readonly Villain[]>;
  /** Whether owners of data order tasks; where one refuses, it is the last of them, and gives no key to anybody. */
  readonly owners: 'idle' | 'ordering' | 'refusing';
  /** `safety`: faults until the end. `liveness`: they stop, and the network must go on. */
  readonly mode: 'safety' | 'liveness';
  readonly faultsMs: number;
}

/** Whether a host is no founder, and such that no judge may let it in. */
export function isImpostor({ nodes, villains }: Pick<Plan, 'nodes' | 'villains'>, name: string): boolean {
  const kinds = villains.get(name) ?? [];
  return Number(name.slice(1)) >= nodes && IMPOSTORS.some((kind) => kinds.includes(kind));
}

/** Swarm style: each seed leaves out about half of what can go wrong, so that no fault hides another. */
export function drawPlan(random: SeededRandom): Plan {
  const nodes = random.chance(0.75) ? 4 : 7;
  const owners = random.pick(['idle', 'ordering', 'ordering', 'refusing'] as const);
  const drawn = badFounders(random, nodes, owners === 'idle' ? LIES : [...LIES, ...TASK_VILLAINS]);
  const leaver = drawLeaver(random, nodes, drawn);
  const isCrowd = random.chance(0.25);
  // Tasks earn credit: a founder that runs most of them and a crowd would come to weigh a third together.
  const bad: Villains = isCrowd && owners !== 'idle' ? new Map() : drawn;
  const { strangers, bad: badStrangers } = isCrowd ? drawCrowd(random, nodes) : drawStrangers(random, nodes);
  return {
    nodes,
    strangers,
    ...(leaver === undefined ? {} : { leaver }),
    isUpdated: random.chance(0.15),
    epochMs: random.pick([6_000, 10_000]),
    faults: new Set(FAULTS.filter(() => random.chance(0.4))),
    villains: new Map([...bad, ...badStrangers]),
    // All that newcomers weigh together can do is to stop the others, which shows when faults have ended.
    mode: isCrowd || random.chance(0.6) ? 'liveness' : 'safety',
    faultsMs: random.integer(20, 40) * 1_000,
    owners,
  };
}

type Villains = Map<string, readonly Villain[]>;

function badFounders(random: SeededRandom, nodes: number, lies: readonly Villain[]): Villains {
  const tolerated = Math.floor((nodes - 1) / 3);
  const count = random.chance(0.7) ? tolerated : random.integer(0, tolerated);
  const villains: Villains = new Map();
  while (villains.size < count) villains.set(`n${random.integer(0, nodes - 1)}`, drawVillainy(random, lies));
  return villains;
}

/** A machine is broken in one way, which hides what else it does; a member that lies does so in several, and few of these are proven. */
function drawVillainy(random: SeededRandom, lies: readonly Villain[]): readonly Villain[] {
  if (random.chance(0.4)) return [random.pick(BREAKAGES)];
  const drawn = lies.filter(() => random.chance(0.3));
  const asExecutor = BAD_EXECUTORS.findLast((kind) => drawn.includes(kind));
  const told = drawn.filter((kind) => kind === asExecutor || !BAD_EXECUTORS.some((other) => other === kind));
  return told.length === 0 || random.chance(0.25) ? [...told, random.pick(PROVABLE_LIES)] : told;
}

/** Who leaves may be off before the others have let it go: it counts among those that may fail. */
function drawLeaver(random: SeededRandom, nodes: number, bad: Plan['villains']): string | undefined {
  const leaver = `n${random.integer(0, nodes - 1)}`;
  const isTolerated = bad.size < Math.floor((nodes - 1) / 3) && !bad.has(leaver);
  return isTolerated && random.chance(0.4) ? leaver : undefined;
}

/** A newcomer weighs a tenth of a founder: there may be nearly as many bad ones as there are good founders. */
function drawCrowd(random: SeededRandom, nodes: number): { strangers: number; bad: Villains } {
  const kind = random.pick(BAD_NEWCOMERS);
  const strangers = nodes === 4 ? 3 : 2;
  return { strangers, bad: new Map(Array.from({ length: strangers }, (_, i) => [`n${nodes + i}`, [kind]])) };
}

function drawStrangers(random: SeededRandom, nodes: number): { strangers: number; bad: Villains } {
  const strangers = random.chance(0.3) ? random.integer(1, 2) : 0;
  const bad: Villains = new Map();
  for (let index = nodes; index < nodes + strangers; index++)
    if (random.chance(0.4)) bad.set(`n${index}`, [random.pick([...IMPOSTORS, ...FREE_RIDERS])]);
  return { strangers, bad };
}

export function describePlan(plan: Plan): string {
  const { nodes, strangers, leaver, isUpdated, epochMs, faults, villains, mode, faultsMs, owners } = plan;
  const bad = [...villains].map(([name, kinds]) => `${name} ${kinds.join(' ')}`).join(', ') || 'nobody';
  const list = [...faults].join(' ') || 'none';
  const change = [leaver === undefined ? '' : `, ${leaver} leaves`, isUpdated ? ', a new release' : ''].join(
    '',
  );
  return `${mode}: ${nodes} founders, ${strangers} strangers${change}, owners ${owners}, epochs of ${epochMs} ms, faults for ${faultsMs} ms: ${list}; against the rules: ${bad}`;
}
