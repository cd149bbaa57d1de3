import { afterEach, describe, expect, it } from 'vitest';
import { Scenario, type ScenarioOptions } from './scenario.ts';

let s: Scenario;
afterEach(() => s.end());

const begin = async (options: ScenarioOptions): Promise<void> => {
  s = await Scenario.begin(expect.getState().currentTestName ?? '', options);
};

describe('a stranger', () => {
  it('with papers and an approved release is admitted, catches up, and takes part [ATT-16] [MEMB-13] [MEMB-15]', async () => {
    await begin({ nodes: 4, strangers: 1 });
    await s.epochsClose(1);
    s.member(4).start();
    await s.until('layer 1 admits it', () => s.statusOnLayerOne(4) === 'active');
    await s.epochsClose(3, [0, 1, 2, 3, 4]);
    expect(s.member(4).node?.status()).toMatchObject({ isMember: true, isReady: true, peers: 4 });
  });

  it('is admitted under an owner only once that one has paid into its deposit [MEMB-39]', async () => {
    await begin({ nodes: 4, strangers: 1 });
    await s.epochsClose(1);
    s.member(4).owner = s.member(0).account;
    s.member(4).start();
    await s.until('it has tried twice', () => s.member(4).lives > 2);
    expect(s.member(4).lastWords).toContain('layer 1 refuses: OwnerNotBacking');
    await s.paysFor(4, 0);
    await s.until('layer 1 admits it', () => s.statusOnLayerOne(4) === 'active');
    await s.epochsClose(2, [0, 1, 2, 3, 4]);
  });

  it('is admitted though one door never answers it', async () => {
    await begin({ nodes: 4, strangers: 1 });
    await s.epochsClose(1);
    s.deafen(0, [4]);
    s.member(4).start();
    await s.until('layer 1 admits it', () => s.statusOnLayerOne(4) === 'active');
    expect(s.member(4).lives).toBe(1);
    s.heal();
    await s.epochsClose(2, [0, 1, 2, 3, 4]);
  });

  it('whose endorsement certificate nobody approved is refused by everybody [ATT-16]', async () => {
    await begin({ nodes: 4, strangers: 1, villains: { 4: 'self-endorsed' } });
    s.member(4).start();
    await s.until('it has tried twice', () => s.member(4).lives > 2);
    expect(s.member(4).lastWords).toContain('EK_CHAIN_UNTRUSTED');
    expect(s.statusOnLayerOne(4)).toBe('none');
    await s.epochsClose(2);
  });

  it('that shows the papers of another TPM cannot activate what is made for that TPM [ATT-17]', async () => {
    await begin({ nodes: 4, strangers: 1, villains: { 4: 'borrowed-endorsement' } });
    s.member(4).start();
    await s.until('it has tried twice', () => s.member(4).lives > 2);
    expect(s.member(4).lastWords).toContain('CREDENTIAL_WRONG');
    expect(s.statusOnLayerOne(4)).toBe('none');
    await s.epochsClose(2);
  });

  it('that runs what is not approved is refused by everybody [ATT-18]', async () => {
    await begin({ nodes: 4, strangers: 1, villains: { 4: 'tampered' } });
    s.member(4).start();
    await s.until('it has tried twice', () => s.member(4).lives > 2);
    expect(s.member(4).lastWords).toContain('RELEASE');
    expect(s.statusOnLayerOne(4)).toBe('none');
    await s.epochsClose(2);
  });

  it('that takes its deposit back before layer 1 has it is no member, and leaves nothing behind [MEMB-15]', async () => {
    await begin({ nodes: 4, strangers: 1, villains: { 4: 'fleeing' } });
    s.member(4).start();
    await s.until('it is affirmed', () => s.candidaciesAffirmed(0) === 1);
    expect(s.times('fleeing')).toBeGreaterThan(0);
    await s.epochsClose(6);
    expect(s.statusOnLayerOne(4)).toBe('none');
    expect(s.creditOf(4, 0)).toBeUndefined();
  });

  it('that layer 1 takes late is a member from then on, and not before [MEMB-15]', async () => {
    await begin({ nodes: 4, strangers: 1 });
    s.layerOneTakesNo('Admission');
    s.member(4).start();
    await s.until('it is affirmed', () => s.candidaciesAffirmed(0) === 1);
    await s.epochsClose(2);
    expect(s.creditOf(4, 0)).toBeUndefined();
    s.layerOneTakesNo(undefined);
    await s.until('it is a member', () => s.statusOnLayerOne(4) === 'active');
    await s.epochsClose(2, [0, 1, 2, 3, 4]);
    expect(s.creditOf(4, 0)).toBeGreaterThan(0);
  });

  it('is heard by the weight it has: a crowd of silent newcomers stops nobody [CONS-2] [MEMB-8]', async () => {
    await begin({ nodes: 4, strangers: 3, villains: { 4: 'silent', 5: 'silent', 6: 'silent' } });
    for (const index of [4, 5, 6]) s.member(index).start();
    await s.until('all are members', () =>
      [4, 5, 6].every((index) => s.statusOnLayerOne(index) === 'active'),
    );
    await s.epochsClose(3);
  });
});

describe('a member that gives up membership', () => {
  it('has no say from then on, leaves the roster, and the others go on [MEMB-21]', async () => {
    await begin({ nodes: 4 });
    await s.epochsClose(1);
    s.leaves(3);
    await s.until('it is off', () => !s.member(3).isOn);
    expect(s.statusOnLayerOne(3)).toBe('exiting');
    expect(s.creditOf(3, 0)).toBeUndefined();
    await s.epochsClose(3, [0, 1, 2]);
  });

  it('may be replaced by a stranger [MEMB-13] [MEMB-21]', async () => {
    await begin({ nodes: 4, strangers: 1 });
    await s.epochsClose(1);
    s.leaves(0);
    s.member(4).start();
    await s.until('one is off', () => !s.member(0).isOn);
    await s.until('the other is in', () => s.statusOnLayerOne(4) === 'active');
    await s.epochsClose(3, [1, 2, 3, 4]);
  });

  it('may come back with the deposit anew, and is a newcomer [MEMB-13]', async () => {
    await begin({ nodes: 5 });
    await s.epochsClose(1);
    s.leaves(4);
    await s.until('it is off', () => !s.member(4).isOn);
    await s.comesBack(4);
    await s.until('it is in', () => s.statusOnLayerOne(4) === 'active');
    await s.epochsClose(2);
    expect(s.creditOf(4, 0)).toBeLessThan(s.creditOf(1, 0) ?? 0);
  });
});

describe('a new release', () => {
  it('replaces the old one while the network runs: who updates stays a member with its credit [MEMB-24]', async () => {
    await begin({ nodes: 4 });
    await s.epochsClose(1);
    s.nextReleaseIsApproved();
    for (const index of [0, 1, 2, 3]) {
      s.updates(index);
      await s.epochsClose(1);
    }
    s.firstReleaseIsWithdrawn();
    await s.epochsClose(3);
    expect([0, 1, 2, 3].map((index) => s.statusOnLayerOne(index))).toEqual(Array(4).fill('active'));
  });

  it('leaves a stranger with the old one before the door [ATT-18]', async () => {
    await begin({ nodes: 4, strangers: 1 });
    s.nextReleaseIsApproved();
    await s.epochsClose(1);
    for (const index of [0, 1, 2, 3]) s.updates(index);
    await s.epochsClose(1);
    s.firstReleaseIsWithdrawn();
    await s.epochsClose(1);
    s.member(4).start();
    await s.until('it has tried twice', () => s.member(4).lives > 2);
    expect(s.member(4).lastWords).toContain('RELEASE');
    s.updates(4);
    await s.epochsClose(3, [0, 1, 2, 3, 4]);
  });

  it('takes all credit from who has not updated in eight epochs, and gives it back once it has [MEMB-37]', async () => {
    await begin({ nodes: 4, epochMs: 4_000 });
    await s.epochsClose(1);
    s.nextReleaseIsApproved();
    for (const index of [0, 1, 2]) s.updates(index);
    await s.epochsClose(2, [0, 1, 2]);
    s.firstReleaseIsWithdrawn();
    await s.epochsClose(6, [0, 1, 2]);
    expect(s.creditOf(3, 0)).toBeGreaterThan(0);
    await s.until('its credit is gone', () => s.creditOf(3, 0) === 0);
    expect(s.statusOnLayerOne(3)).toBe('active');
    s.updates(3);
    await s.until('it draws again', () => (s.creditOf(3, 0) ?? 0) > 0);
    await s.epochsClose(2);
  });
});
