import { checkAdmission } from '../checkers/admission.ts';
import { checkAgreement } from '../checkers/agreement.ts';
import { checkContradiction } from '../checkers/contradiction.ts';
import { checkCredit } from '../checkers/credit.ts';
import { checkLog } from '../checkers/log.ts';
import { checkMoney } from '../checkers/money.ts';
import { checkPrivacy } from '../checkers/privacy.ts';
import { checkSecrecy } from '../checkers/secrecy.ts';
import { checkInnocence, checkState } from '../checkers/state.ts';
import { checkTasks } from '../checkers/tasks.ts';
import { Accidents } from '../faults/accidents.ts';
import type { Counts } from '../faults/counts.ts';
import { isImpostor, type Plan } from '../faults/plan.ts';
import { Storm } from '../faults/storm.ts';
import { refusing } from '../faults/task-villains.ts';
import { befall, disguise } from '../faults/villains.ts';
import type { SeededRandom } from '../kernel/random.ts';
import { PROGRAM_NAMES } from '../tasks/programs.ts';
import { createTask } from '../world/author.ts';
import type { World } from '../world/world.ts';

const TICK_MS = 1_000;
const TASK_CHANCE = 0.06;
const ORDER_CHANCE = 0.16;

export type Fail = (checker: string, detail: string) => void;

/** Sets up faults, villains and checkers; nothing has happened yet. */
export function prepare(world: World, plan: Plan, counts: Counts, fail: Fail) {
  const { kernel, conditions } = world;
  const honest = new Set(world.hosts.map(({ name }) => name).filter((name) => !plan.villains.has(name)));
  const storm = new Storm(world, plan.faults, counts);
  const accidents = new Accidents(world, plan.faults, counts);
  conditions.weather = storm;
  conditions.disguise = (host, ports) => {
    const villains = plan.villains.get(host.name) ?? [];
    return disguise(world, villains, counts, ports);
  };
  conditions.disguiseOwner = (name, ports) =>
    plan.owners === 'refusing' && name === world.owners.at(-1)?.name
      ? refusing(ports, () => counts.add('refusing'))
      : ports;
  for (const host of world.hosts) {
    if (!plan.villains.get(host.name)?.includes('equivocating')) continue;
    counts.add('equivocating');
    const others = [...world.hosts].filter((other) => other !== host);
    world.double(host, new Set(others.filter(() => kernel.random.chance(0.5)).map(({ name }) => name)));
  }
  const impostors = new Set(world.hosts.map(({ name }) => name).filter((name) => isImpostor(plan, name)));
  const verdicts = { world, honest, impostors, fail };
  const agreement = checkAgreement(verdicts);
  const credit = checkCredit(verdicts);
  const tasks = checkTasks(verdicts);
  const privacy = checkPrivacy(verdicts);
  world.checks.push(agreement, credit, tasks, privacy);
  world.ownerChecks.push(privacy);
  world.doors.observers.push(privacy);
  world.overlays.observers.push(checkContradiction(verdicts), checkSecrecy(verdicts), privacy);
  const checkLine = checkLog(verdicts);
  world.onLog = (line) => {
    checkLine(line);
    privacy.onLog(line);
  };
  const checks = [
    checkState(verdicts),
    checkInnocence(verdicts),
    checkAdmission(verdicts),
    credit.check,
    checkMoney(verdicts),
    tasks.look,
  ];
  const authors = kernel.random.fork('authors');
  const moments = kernel.random.fork('moments');
  let isCalm = false;
  kernel.every(TICK_MS, () => {
    for (const check of checks) check();
    if (isCalm) return;
    if (plan.faultsMs > 0 && authors.chance(TASK_CHANCE)) createTask(world, authors);
    if (plan.faultsMs > 0 && plan.owners !== 'idle' && authors.chance(ORDER_CHANCE))
      placeOrder(world, authors);
    // At any moment of the second: a fault that always struck as a block is mined would meet the same words again and again.
    kernel.after(moments.integer(0, TICK_MS - 1), () => {
      if (isCalm) return;
      storm.blow();
      accidents.happen();
      for (const host of world.hosts)
        for (const villain of plan.villains.get(host.name) ?? []) befall(world, host, villain, counts);
    });
  });
  return {
    honest,
    decisions: () => agreement.decisions,
    isServed: tasks.isServed,
    calm(): void {
      isCalm = true;
      kernel.note('weather', 'calm from here on');
      storm.end();
      accidents.end();
    },
  };
}

/** One owner's task or that of two; most can be run. */
function placeOrder({ orders, owners }: World, random: SeededRandom): void {
  const program = random.chance(0.6) ? 'digest' : random.pick(PROGRAM_NAMES);
  const receivers = random.chance(0.5) ? owners : [random.pick(owners)];
  orders.place(program, receivers, random.chance(0.1) ? 'rule-of-other-code' : 'none');
}
