/** Five nodes and a sixth, each a process with its own TPM: the whole demo, then tasks and a tampering on its network. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Devnet } from '../apps/cli/src/devnet/devnet.ts';
import { runDemo } from './demo-run.ts';
import { nativeIntersectionMs } from './intersection.ts';
import { type Samples, summarize } from './measure.ts';
import { readMemory } from './memory.ts';
import { type Row, rowOf, type Target, type Unit } from './row.ts';
import { tamper } from './tampering.ts';
import { runTask, type TaskTimes } from './task-run.ts';

const TASKS = 5;

export async function benchNetwork(): Promise<Row[]> {
  const dir = await mkdtemp(join(tmpdir(), 'nemea-bench-'));
  const report = await runDemo(dir);
  const net = new Devnet(dir, async (what, work) => {
    process.stderr.write(`  ${what}\n`);
    return work();
  });
  try {
    const memory = readMemory(net, report);
    const tasks: TaskTimes[] = [];
    for (let run = 1; run <= TASKS; run++) {
      process.stderr.write(`  task ${run} of ${TASKS}\n`);
      tasks.push(await runTask(net, report));
    }
    const memoryAfter = readMemory(net, report);
    process.stderr.write('  tampering\n');
    const tampering = await tamper(net, report);
    return [
      ...(await taskRows(tasks)),
      ...tamperingRows(report.durationsMs.tamperToEviction, tampering),
      row('whole demo after set-up', 's', [(report.durationsMs.total - report.durationsMs.setup) / 1000], {
        atMost: 90,
      }),
      row('memory of an idle member', 'mb', memory.idle, { atMost: 160 }),
      row('memory of an executor after its run', 'mb', memory.executor, { atMost: 160 }),
      row(`memory of members after ${TASKS} more tasks`, 'mb', memoryAfter.members, { atMost: 160 }),
      row('most that any node ever held', 'mb', [Math.max(...memoryAfter.peaks)], { atMost: 160 }),
      row(
        'epoch record on layer 1, 5 signers',
        'gas',
        report.epochs.map(({ gasUsed }) => gasUsed),
        { atMost: 180_000 },
      ),
      row('settlement on layer 1', 'gas', [report.gas.settlement]),
      row('admission on layer 1', 'gas', [report.gas.admission]),
      row('registration of a capsule', 'gas', [report.gas.capsuleRegistration]),
    ];
  } finally {
    await net.down();
    await rm(dir, { recursive: true, force: true });
  }
}

async function taskRows(tasks: readonly TaskTimes[]): Promise<Row[]> {
  const native = await nativeIntersectionMs();
  const of = (pick: (times: TaskTimes) => number): number[] => tasks.map((times) => pick(times) / 1000);
  return [
    rowOf({
      group: 'network',
      unit: 's',
      own: {
        name: 'private intersection, submitted to both opened',
        samples: summarize(of(({ total }) => total)),
      },
      peer: { name: 'native, one process', samples: inSeconds(native) },
      target: { of: 'value', atMost: 10 },
    }),
    row(
      '  of which draw, attestation, consensus',
      's',
      of(({ drawn, vouched, released }) => drawn + vouched + released),
      { atMost: 4 },
    ),
    row(
      '    seen to drawn',
      's',
      of(({ drawn }) => drawn),
    ),
    row(
      '    judged by the drawn verifiers',
      's',
      of(({ vouched }) => vouched),
    ),
    row(
      '    judged by the owners, keys released',
      's',
      of(({ released }) => released),
    ),
    row(
      '  submitted to seen on layer 1',
      's',
      of(({ seen }) => seen),
    ),
    row(
      '  code and capsules fetched',
      's',
      of(({ fetched }) => fetched),
    ),
    row(
      '  run in the sandbox',
      's',
      of(({ ran }) => ran),
    ),
    row(
      '  results sealed, fetched, opened',
      's',
      of(({ opened }) => opened),
    ),
  ];
}

function tamperingRows(
  demoMs: number,
  { toEvictionMs, askedToEvictionMs }: Awaited<ReturnType<typeof tamper>>,
): Row[] {
  return [
    row('tampering to eviction, next epoch asks', 's', [demoMs / 1000, toEvictionMs / 1000], { atMost: 10 }),
    row("  from the epoch's begin, when it is asked", 's', [askedToEvictionMs / 1000], { atMost: 2 }),
  ];
}

function row(name: string, unit: Unit, values: readonly number[], target?: Omit<Target, 'of'>): Row {
  return rowOf({
    group: 'network',
    unit,
    own: { name, samples: summarize(values) },
    ...(target === undefined ? {} : { target: { of: 'value', ...target } }),
  });
}

function inSeconds({ median, min, max }: Samples): Samples {
  return { median: median / 1000, min: min / 1000, max: max / 1000 };
}
