import { afterEach, describe, expect, it } from 'vitest';
import { Scenario, type ScenarioOptions } from './scenario.ts';

let s: Scenario;
afterEach(() => s.end());

const begin = async (options: ScenarioOptions): Promise<void> => {
  s = await Scenario.begin(expect.getState().currentTestName ?? '', options);
};

describe('a network of four', () => {
  it('closes one epoch after the other, and layer 1 records each [MEMB-20]', async () => {
    await begin({ nodes: 4 });
    await s.epochsClose(3);
    const recorded = s.world.chain.blocks.flatMap(({ events }) =>
      events.flatMap((event) => (event.type === 'epoch' ? [event.epoch] : [])),
    );
    expect(recorded).toEqual([1, 2, 3]);
  });

  it('goes on without one of its members, who catches up when it is back [CONS-19]', async () => {
    await begin({ nodes: 4 });
    await s.epochsClose(1);
    s.member(2).crash();
    await s.epochsClose(2, [0, 1, 3]);
    s.member(2).start();
    await s.epochsClose(2);
  });

  it('tells whoever asks what a quorum knows alike, without ordering the question [CONS-29]', async () => {
    await begin({ nodes: 4 });
    await s.epochsClose(1);
    s.member(3).crash();
    expect(await s.asksTheMembers(0)).toMatchObject({ epochClosed: 1, members: 4 });
    s.member(2).crash();
    expect(await s.asksTheMembers(0)).toMatchObject({ code: 'ANSWERS_DIVIDED' });
  });

  it('decides nothing without a quorum, and goes on once there is one again [CONS-2]', async () => {
    await begin({ nodes: 4 });
    await s.epochsClose(1);
    s.separate([0, 1], [2, 3]);
    await s.passes(2_000);
    const before = s.epochOnLayerOne();
    await s.passes(30_000);
    expect(s.epochOnLayerOne()).toBe(before);
    s.heal();
    await s.epochsClose(2);
  });

  it('takes up where it was when all lose power at once [CONS-6]', async () => {
    await begin({ nodes: 4 });
    await s.epochsClose(1);
    for (const index of [0, 1, 2, 3]) s.member(index).crash();
    await s.passes(5_000);
    for (const index of [0, 1, 2, 3]) s.member(index).start();
    await s.epochsClose(2);
  });

  it('gives the fee of a task that nobody can run back, also when members were off meanwhile [MEMB-34]', async () => {
    await begin({ nodes: 4 });
    await s.epochsClose(1);
    s.taskIsCreated();
    await s.until('the fee is in escrow', () => s.feesInEscrow() === 1);
    s.member(0).crash();
    s.member(1).crash();
    await s.passes(15_000);
    s.member(0).start();
    s.member(1).start();
    await s.until('the fee is back', () => s.feesInEscrow() === 0);
    await s.epochsClose(1);
  });

  it('records every epoch on layer 1, also those that it did not take for long [MEMB-35]', async () => {
    await begin({ nodes: 4 });
    await s.epochsClose(1);
    s.layerOneTakesNo('EpochRecord');
    await s.until('three more are closed', () => s.statusOf(0).epochClosed >= 4);
    for (const index of [0, 1, 2, 3]) s.member(index).crash();
    for (const index of [0, 1, 2, 3]) s.member(index).start();
    await s.passes(5_000);
    s.layerOneTakesNo(undefined);
    await s.epochsClose(6);
    const recorded = s.world.chain.blocks.flatMap(({ events }) =>
      events.flatMap((event) => (event.type === 'epoch' ? [event.epoch] : [])),
    );
    expect(recorded).toEqual(recorded.map((_, index) => index + 1));
  });

  it('has not forgotten a vote that layer 1 did not take for long when all lose power [MEMB-34]', async () => {
    await begin({ nodes: 4 });
    await s.epochsClose(1);
    s.layerOneTakesNo('TaskFailure');
    s.taskIsCreated();
    await s.until('the members have given it up', () => s.tasksGivenUp(0) === 1);
    // Two snapshots later its decision is in nobody's journal.
    const { sequence } = s.statusOf(0);
    await s.until('much else is decided', () => s.statusOf(0).sequence > sequence + 200);
    expect(s.feesInEscrow()).toBe(1);
    for (const index of [0, 1, 2, 3]) s.member(index).crash();
    s.layerOneTakesNo(undefined);
    for (const index of [0, 1, 2, 3]) s.member(index).start();
    await s.until('the fee is back', () => s.feesInEscrow() === 0);
  });

  it('suffers a member that hears only half of the others', async () => {
    await begin({ nodes: 4 });
    await s.epochsClose(1);
    s.deafen(1, [0, 2]);
    await s.epochsClose(2, [0, 2, 3]);
    s.heal();
    await s.epochsClose(2);
  });
});

describe('a member', () => {
  it('whose TPM was reset proves itself anew, and stays a member [FAULT-4]', async () => {
    await begin({ nodes: 4 });
    await s.epochsClose(1);
    s.member(3).tpm.reset();
    await s.epochsClose(2);
    expect(s.member(3).lives).toBe(2);
    expect(s.statusOnLayerOne(3)).toBe('active');
  });

  it('that starts while its layer 1 does not answer tries until it does', async () => {
    await begin({ nodes: 4 });
    await s.epochsClose(1);
    s.world.conditions.rpc = (name) => () => (name === 'n2' ? undefined : 5);
    s.member(2).crash();
    s.member(2).start();
    await s.passes(10_000);
    expect(s.member(2).lives).toBeGreaterThan(3);
    s.world.conditions.rpc = () => () => 5;
    await s.epochsClose(2);
  });

  it('whose disk was full starts anew, and catches up', async () => {
    await begin({ nodes: 4 });
    await s.epochsClose(1);
    s.member(1).disk.fill();
    await s.epochsClose(1, [0, 2, 3]);
    s.member(1).disk.fill(false);
    await s.epochsClose(2);
  });

  it('whose power fails while it writes says nothing that it does not know afterwards [CONS-6]', async () => {
    await begin({ nodes: 4 });
    for (const index of [0, 1, 2, 3]) {
      s.member(index).disk.tearNext();
      await s.epochsClose(1);
    }
    expect([0, 1, 2, 3].map((index) => s.member(index).lives)).toEqual([2, 2, 2, 2]);
  });

  it('whose clock is an hour off attests as everybody does', async () => {
    await begin({ nodes: 4 });
    s.member(0).clockError.skewMs = 3_600_000;
    s.member(1).clockError.drift = 0.05;
    await s.epochsClose(3);
  });
});

describe('a member that breaks the rules', () => {
  it('by saying nothing stops nobody, though it leads the first view [CONS-13]', async () => {
    for (const villain of [0, 1, 2, 3]) {
      await begin({ nodes: 4, villains: { [villain]: 'silent' } });
      const others = [0, 1, 2, 3].filter((index) => index !== villain);
      await s.epochsClose(2, others);
    }
  });

  it('by running twice divides nobody [CONS-10] [CONS-21]', async () => {
    await begin({ nodes: 4, villains: { 0: 'equivocating' } });
    await s.epochsClose(3, [1, 2, 3]);
  });

  it('by running twice loses all credit once somebody heard both, and again if it goes on [MEMB-43]', async () => {
    await begin({ nodes: 7, villains: { 0: 'equivocating' } });
    const others = [1, 2, 3, 4, 5, 6];
    await s.until('its credit is gone', () => others.every((index) => s.creditOf(0, index) === 0));
    expect(s.statusOnLayerOne(0)).toBe('active');
    await s.epochsClose(2, others);
    await s.until('it is gone again', () => others.every((index) => s.creditOf(0, index) === 0));
  });

  it('by showing the same quote again is evicted, with its deposit [MEMB-22]', async () => {
    await begin({ nodes: 4, villains: { 3: 'stale-evidence' } });
    await s.until('layer 1 evicts it', () => s.statusOnLayerOne(3) === 'evicted');
    expect(s.world.chain.state.nodes.get(s.member(3).account)?.deposit).toBe(0n);
    await s.epochsClose(2, [0, 1, 2]);
  });

  it('by drawing itself with false proofs is found guilty on layer 1, and loses credit and half of its deposit [MEMB-26]', async () => {
    await begin({ nodes: 4, villains: { 2: 'false-vrf' } });
    await s.until(
      'its credit is gone',
      () => s.world.chain.state.nodes.get(s.member(2).account)?.credit === 0,
    );
    expect(s.world.chain.state.nodes.get(s.member(2).account)?.deposit).toBeLessThan(1_000n);
    await s.epochsClose(2, [0, 1, 3]);
  });

  it('by accusing those whose evidence is good, and forging proofs against them, costs them nothing [MEMB-23] [MEMB-43]', async () => {
    await begin({ nodes: 4, villains: { 1: 'lying-attestor' } });
    await s.epochsClose(4);
    expect([0, 1, 2, 3].map((index) => s.statusOnLayerOne(index))).toEqual(Array(4).fill('active'));
    for (const index of [0, 2, 3]) expect(s.creditOf(index, 0)).toBeGreaterThan(100);
  });

  it('by running other software is let in by nobody [ATT-3]', async () => {
    await begin({ nodes: 4, villains: { 3: 'tampered' } });
    await s.epochsClose(2, [0, 1, 2]);
    expect(s.member(0).node?.status().peers).toBe(2);
  });

  it('by repeating what was said, or talking nonsense, changes nothing', async () => {
    await begin({ nodes: 7, villains: { 1: 'replaying', 4: 'spamming' } });
    await s.epochsClose(2, [0, 2, 3, 5, 6]);
  });
});
