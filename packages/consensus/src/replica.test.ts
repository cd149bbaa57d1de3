import { fromUtf8, type Verified } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { signStatement } from './authenticate.ts';
import { createConfiguration, primaryOf } from './configuration.ts';
import { drive, type Outbound } from './driver.ts';
import type { Effect } from './effect.ts';
import type { Input } from './input.ts';
import {
  CHECKPOINTS_KEPT,
  FUTURE_BYTES_MAX,
  FUTURE_STATEMENTS_MAX,
  HELP_MAX,
  OPERATION_BYTES_MAX,
  PENDING_OPERATIONS_MAX,
  PROPOSALS_MAX,
  VIEW_DISTANCE_MAX,
  VOTES_AHEAD_MAX,
  WINDOW,
} from './limits.ts';
import {
  type Batch,
  type Content,
  encodeNewViewEvidence,
  encodeSignatures,
  evidenceDigest,
  NO_EVIDENCE,
  parsePayload,
  type Statement,
  type ViewChange,
} from './message.ts';
import { decisionDigest, keyOf } from './operation.ts';
import { createReplica, step } from './replica.ts';
import { createCheapSigner, verifyCheaply } from './testing/signatures.ts';

const networkId = new Uint8Array(32).fill(1);
const IDS = ['a', 'b', 'c', 'd'];
const members = IDS.map((id) => ({ id, publicKey: createCheapSigner(id).publicKey, weight: 1 }));
const configuration = createConfiguration(members);
const primaryOfFirst = primaryOf(configuration, 0);
const primaryOfNext = primaryOf(configuration, 1);
const backup = IDS.find((id) => id !== primaryOfFirst && id !== primaryOfNext) ?? '';
const peers = IDS.filter((id) => id !== backup);
const batch: Batch = [fromUtf8('operation')];
const digest = decisionDigest(new Uint8Array(32), batch);

function start(id = backup) {
  const { state } = createReplica({ id, networkId, members, verify: verifyCheaply });
  const replica = { state, sign: createCheapSigner(id).sign };
  return {
    state,
    feed: (input: Input) => drive(replica, input),
    hear: (sender: string, content: Content, carried: Batch = [], evidence: Uint8Array = NO_EVIDENCE) =>
      drive(replica, { type: 'message', statement: say(sender, content, carried, evidence) }),
  };
}

function say(
  sender: string,
  content: Content,
  carried: Batch = [],
  evidence: Uint8Array = NO_EVIDENCE,
): Verified<Statement> {
  const { sign } = createCheapSigner(sender);
  return signStatement({ networkId, sender, content, batch: carried, evidence, sign });
}

const withEvidence = ([content, evidence]: [Content, Uint8Array]): [Content, Batch, Uint8Array] => [
  content,
  [],
  evidence,
];
const prePrepare = (view = 0, sequence = 1): Content => ({
  kind: 'pre-prepare',
  epoch: 1,
  view,
  sequence,
  digest,
});
const prepare = (view = 0, sequence = 1): Content => ({ kind: 'prepare', epoch: 1, view, sequence, digest });
const commit = (view = 0, sequence = 1): Content => ({ kind: 'commit', epoch: 1, view, sequence, digest });

function spoken(effects: readonly Outbound[]): string[] {
  return effects.flatMap((effect) =>
    effect.type === 'transmit' && effect.to === null ? [parsePayload(effect.message.payload).kind] : [],
  );
}

function types(effects: readonly (Outbound | Effect)[]): string[] {
  return effects.map(({ type }) => type);
}

describe('a backup', () => {
  test('prepares, commits and decides, each after a quorum [CONS-8] [CONS-9] [CONS-10]', () => {
    const replica = start();
    expect(spoken(replica.hear(primaryOfFirst, prePrepare(), batch))).toEqual(['prepare']);
    expect(spoken(replica.hear(primaryOfNext, prepare()))).toEqual(['commit']);
    expect(types(replica.hear(primaryOfFirst, commit()))).not.toContain('commit');
    expect(types(replica.hear(primaryOfNext, commit()))).toContain('commit');
  });

  test('has written down every vote before it speaks [CONS-6]', () => {
    const replica = start();
    const effects = [
      ...replica.hear(primaryOfFirst, prePrepare(), batch),
      ...replica.hear(primaryOfNext, prepare()),
    ];
    const order = types(effects).filter((type) => type === 'persist' || type === 'transmit');
    expect(order).toEqual(['persist', 'transmit', 'persist', 'persist', 'transmit']);
  });

  test('ignores a proposal of anybody but the primary, with another batch, or of no operations', () => {
    const replica = start();
    expect(spoken(replica.hear(primaryOfNext, prePrepare(), batch))).toEqual([]);
    expect(spoken(replica.hear(primaryOfFirst, prePrepare(), [fromUtf8('other')]))).toEqual([]);
    expect(spoken(replica.hear(primaryOfFirst, prePrepare(), []))).toEqual([]);
  });

  test('does not prepare an operation twice in a batch [CONS-12]', () => {
    const replica = start();
    const twice = [...batch, ...batch];
    const content: Content = {
      kind: 'pre-prepare',
      epoch: 1,
      view: 0,
      sequence: 1,
      digest: decisionDigest(new Uint8Array(32), twice),
    };
    expect(spoken(replica.hear(primaryOfFirst, content, twice))).toEqual([]);
  });

  test('does not vote in a view that no new view has opened [CONS-14] [CONS-18]', () => {
    const replica = start();
    expect(spoken(replica.hear(primaryOfNext, prePrepare(1), batch))).toEqual([]);
    for (const id of peers) {
      replica.hear(id, { kind: 'view-change', epoch: 1, view: 1, committed: 0, tip: null });
    }
    expect(replica.state.view).toBe(1);
    expect(replica.state.active).toBe(false);
    expect(spoken(replica.hear(primaryOfNext, prePrepare(1), batch))).toEqual([]);
    expect(spoken(replica.hear(primaryOfFirst, prePrepare(0), batch))).toEqual([]);
  });

  test('does not count a member twice, nor a vote of a stranger', () => {
    const replica = start();
    replica.hear(primaryOfFirst, prePrepare(), batch);
    for (let i = 0; i < 5; i++) replica.hear(primaryOfFirst, commit());
    replica.hear('stranger', commit());
    expect(replica.state.committed).toBe(0);
  });

  test('leaves its view only when an honest member must have left [CONS-15]', () => {
    const replica = start();
    const leave = (id: string, view: number) =>
      replica.hear(id, { kind: 'view-change', epoch: 1, view, committed: 0, tip: null });
    expect(spoken(leave(primaryOfNext, 5))).toEqual([]);
    expect(spoken(leave(primaryOfFirst, 3))).toEqual(['view-change']);
    expect(replica.state.view).toBe(3);
  });

  test('goes on voting while the application executes, which takes one decision at a time [CONS-11]', () => {
    const replica = start();
    replica.hear(primaryOfFirst, prePrepare(), batch);
    for (const id of peers) replica.hear(id, commit());
    expect(replica.state).toMatchObject({ committed: 1, executed: 0, isExecuting: true });
    const next = [fromUtf8('next')];
    const content = {
      epoch: 1,
      view: 0,
      sequence: 2,
      digest: decisionDigest(digest, next),
    };
    expect(spoken(replica.hear(primaryOfFirst, { kind: 'pre-prepare', ...content }, next))).toEqual([
      'prepare',
    ]);
    const effects = peers.flatMap((id) => replica.hear(id, { kind: 'commit', ...content }));
    expect(replica.state.committed).toBe(2);
    expect(types(effects)).not.toContain('commit');
    expect(types(replica.feed({ type: 'executed', sequence: 1, members: null }))).toContain('commit');
  });

  test('prepares a proposal only on top of those before it, in whatever order they come [CONS-8]', () => {
    const replica = start();
    const next = [fromUtf8('next')];
    const content: Content = {
      kind: 'pre-prepare',
      epoch: 1,
      view: 0,
      sequence: 2,
      digest: decisionDigest(digest, next),
    };
    expect(spoken(replica.hear(primaryOfFirst, content, next))).toEqual([]);
    expect(spoken(replica.hear(primaryOfFirst, prePrepare(), batch))).toEqual(['prepare', 'prepare']);
  });

  test('does not prepare what follows from another proposal than the one before [CONS-8]', () => {
    const replica = start();
    const next = [fromUtf8('next')];
    const stray: Content = {
      kind: 'pre-prepare',
      epoch: 1,
      view: 0,
      sequence: 2,
      digest: decisionDigest(new Uint8Array(32).fill(9), next),
    };
    replica.hear(primaryOfFirst, prePrepare(), batch);
    expect(spoken(replica.hear(primaryOfFirst, stray, next))).toEqual([]);
  });

  test('commits in order: not to a sequence before the one below it is prepared [CONS-9]', () => {
    const replica = start();
    const next = [fromUtf8('next')];
    const second = { epoch: 1, view: 0, sequence: 2, digest: decisionDigest(digest, next) };
    replica.hear(primaryOfFirst, prePrepare(), batch);
    replica.hear(primaryOfFirst, { kind: 'pre-prepare', ...second }, next);
    expect(spoken(replica.hear(primaryOfNext, { kind: 'prepare', ...second }))).toEqual([]);
    expect(spoken(replica.hear(primaryOfNext, prepare()))).toEqual(['commit', 'commit']);
    expect(replica.state.tip).toMatchObject({ view: 0, sequence: 2 });
  });

  test('asks for the batch of a decision whose proposal it has missed [CONS-19]', () => {
    const replica = start();
    for (const id of peers) replica.hear(id, commit());
    const effects = replica.feed({ type: 'timeout', id: 'catch-up' });
    expect(effects).toContainEqual({ type: 'fetch', from: peers[0], sequence: 1 });
  });
});

describe('a decision from a peer', () => {
  const certificateOf = (view: number, senders: readonly string[]) => ({
    epoch: 1,
    view,
    sequence: 1,
    digest,
    signatures: senders.map((sender) => ({ sender, signature: say(sender, commit(view)).message.signature })),
  });

  test('of a later view is taken over, but only the new view itself opens that view [CONS-18]', () => {
    const { state, feed, hear } = start();
    const decision = { sequence: 1, batch, certificate: certificateOf(2, peers) };
    expect(types(feed({ type: 'decisions', decisions: [decision] }))).toContain('commit');
    expect(state).toMatchObject({ committed: 1, view: 0, active: true });
    const next = [fromUtf8('next')];
    const proposal: Content = {
      kind: 'pre-prepare',
      epoch: 1,
      view: 2,
      sequence: 2,
      digest: decisionDigest(digest, next),
    };
    expect(spoken(hear(primaryOf(configuration, 2), proposal, next))).toEqual([]);
  });

  test.each([
    ['without a quorum', { sequence: 1, batch, certificate: certificateOf(2, peers.slice(1)) }],
    [
      'of other operations',
      { sequence: 1, batch: [fromUtf8('other')], certificate: certificateOf(2, peers) },
    ],
    ['of a later sequence', { sequence: 2, batch, certificate: certificateOf(2, peers) }],
  ])('%s is ignored [CONS-19]', (_title, decision) => {
    const { state, feed } = start();
    feed({ type: 'decisions', decisions: [decision] });
    expect(state.committed).toBe(0);
    expect(state.transfer).toEqual([]);
  });
});

/** A view that is bound to nothing, by view changes of these members. */
function newView(senders: readonly string[], view = 1): [Content, Uint8Array] {
  const evidence = encodeNewViewEvidence({
    viewChanges: senders.map((sender) => {
      const content: ViewChange = { kind: 'view-change', epoch: 1, view, committed: 0, tip: null };
      return { message: say(sender, content).message, sender, content };
    }),
    signatures: [],
  });
  return [{ kind: 'new-view', epoch: 1, view, evidence: evidenceDigest(evidence) }, evidence];
}

describe('a new view', () => {
  test('of a quorum of view changes opens the view [CONS-16]', () => {
    const replica = start();
    replica.hear(primaryOfNext, ...withEvidence(newView(peers)));
    expect(replica.state).toMatchObject({ view: 1, active: true });
    expect(spoken(replica.hear(primaryOfNext, prePrepare(1), batch))).toEqual(['prepare']);
  });

  test.each([
    ['of less than a quorum', peers.slice(1), primaryOfNext],
    ['of one sender three times', [peers[0], peers[0], peers[0]] as string[], primaryOfNext],
    ['of anybody but its primary', peers, primaryOfFirst],
  ])('%s is ignored', (_title, senders, sender) => {
    const replica = start();
    replica.hear(sender, ...withEvidence(newView(senders)));
    expect(replica.state.view).toBe(0);
  });
});

describe('the primary of a coming view', () => {
  const [faulty, other] = IDS.filter((id) => id !== primaryOfNext && id !== primaryOfFirst) as [
    string,
    string,
  ];
  const prepared = [primaryOfFirst, faulty, other].map((sender) => {
    const { message } = say(sender, sender === primaryOfFirst ? prePrepare() : prepare());
    return { sender, signature: message.signature };
  });
  const departure = (tip: ViewChange['tip']): ViewChange => ({
    kind: 'view-change',
    epoch: 1,
    view: 1,
    committed: 0,
    tip,
  });
  const wants = (effects: readonly Outbound[]) =>
    effects.flatMap((effect) => {
      if (effect.type !== 'transmit') return [];
      const content = parsePayload(effect.message.payload);
      return content.kind === 'want' ? [{ to: effect.to, digest: content.digest }] : [];
    });

  /** One shows a tip whose batch the primary never had, another one shows none. */
  function leave() {
    const replica = start(primaryOfNext);
    replica.hear(faulty, departure({ view: 0, sequence: 1, digest }), [], encodeSignatures(prepared));
    const effects = replica.hear(other, departure(null));
    expect(replica.state).toMatchObject({ view: 1, active: false });
    return { ...replica, effects };
  }

  test('asks the member that shows a tip for batches that it lacks, again and again, and binds its view to them [CONS-16]', () => {
    const { state, feed, hear, effects } = leave();
    expect(wants(effects)).toEqual([{ to: faulty, digest }]);
    expect(wants(feed({ type: 'timeout', id: 'pulse' }))).toEqual([{ to: faulty, digest }]);
    const supply: Content = { kind: 'supply', sequence: 1, parent: new Uint8Array(32), digest };
    hear(faulty, supply, [fromUtf8('another')]);
    expect(state.active).toBe(false);
    hear(faulty, supply, batch);
    expect(state).toMatchObject({ active: true, anchor: { view: 0, sequence: 1, digest } });
    expect(state.accepted).toHaveLength(1);
  });

  test('opens it without a tip whose batches nobody gives away, and waits for nobody but a quorum [CONS-16]', () => {
    const { state, hear } = leave();
    expect(spoken(hear(primaryOfFirst, departure(null)))).toContain('new-view');
    expect(state).toMatchObject({ active: true, anchor: null });
  });
});

describe('whatever peers send stays within bounds [CONS-23]', () => {
  test('requests beyond the limits are refused with the reason', () => {
    const { state, feed } = start();
    const request = (operation: Uint8Array) => feed({ type: 'request', operation });
    expect(request(new Uint8Array(0))).toContainEqual(expect.objectContaining({ reason: 'operation-size' }));
    const huge = new Uint8Array(OPERATION_BYTES_MAX + 1);
    expect(request(huge)).toContainEqual(expect.objectContaining({ reason: 'operation-size' }));
    for (let i = 0; i < PENDING_OPERATIONS_MAX; i++) request(fromUtf8(`${i}`));
    expect(request(fromUtf8('more'))).toContainEqual(expect.objectContaining({ reason: 'pending-full' }));
    expect(state.pending.size).toBe(PENDING_OPERATIONS_MAX);
  });

  test('votes of distant views and sequences are not kept', () => {
    const { state, hear } = start();
    for (let view = 0; view < 20; view++) {
      for (let sequence = 1; sequence < 2 * VOTES_AHEAD_MAX; sequence += 9) {
        for (const id of peers) {
          hear(id, commit(view, sequence));
          hear(id, prepare(view, sequence));
          hear(id, { kind: 'commit', epoch: 33, view, sequence: sequence + 40, digest });
        }
      }
    }
    for (const [sequence, views] of state.ballots) {
      expect(sequence).toBeLessThanOrEqual(VOTES_AHEAD_MAX);
      expect(views.size).toBeLessThanOrEqual(VIEW_DISTANCE_MAX + 1);
    }
    for (const statements of state.future.values()) expect(statements.length).toBe(FUTURE_STATEMENTS_MAX);
    expect(state.future.size).toBe(peers.length);
  });

  test('of proposals for epochs to come no more is kept than some batches of the largest size', () => {
    const { state, hear } = start();
    const large = [new Uint8Array(OPERATION_BYTES_MAX)];
    for (let sequence = 33; sequence <= 33 + FUTURE_STATEMENTS_MAX; sequence++)
      hear(primaryOfFirst, { kind: 'pre-prepare', epoch: 33, view: 0, sequence, digest }, large);
    expect(state.future.get(primaryOfFirst)).toHaveLength(FUTURE_BYTES_MAX / OPERATION_BYTES_MAX);
  });

  test('of batches of views that decide nothing the newest are kept, and those that lead to the own tip', () => {
    const { state, hear } = start();
    hear(primaryOfFirst, prePrepare(), batch);
    hear(primaryOfNext, prepare());
    expect(state.tip).toMatchObject({ view: 0, sequence: 1 });
    let latest = digest;
    for (let view = 1; view < 40; view++) {
      const primary = primaryOf(configuration, view);
      if (primary === backup) continue;
      hear(primary, ...withEvidence(newView(peers, view)));
      latest = new Uint8Array(32);
      for (let sequence = 1; sequence <= WINDOW; sequence++) {
        const proposed = [fromUtf8(`${view} ${sequence}`)];
        latest = decisionDigest(latest, proposed);
        hear(primary, { kind: 'pre-prepare', epoch: 1, view, sequence, digest: latest }, proposed);
      }
      expect(state.accepted).toHaveLength(WINDOW);
      expect(state.proposals.size).toBeLessThanOrEqual(PROPOSALS_MAX + WINDOW);
    }
    expect(state.proposals.size).toBeGreaterThan(PROPOSALS_MAX);
    for (const needed of [digest, latest]) expect(state.proposals.has(keyOf(needed))).toBe(true);
  });

  test('one view change and a few checkpoints are kept of each member', () => {
    const { state, hear } = start();
    for (let i = 1; i < 40; i++) {
      hear(peers[0] as string, { kind: 'view-change', epoch: 1, view: i, committed: 0, tip: null });
      hear(peers[0] as string, { kind: 'checkpoint', epoch: 1, sequence: 16 * i, digest });
    }
    expect(state.viewChanges.size).toBe(1);
    expect(state.checkpoints.size).toBe(1);
    expect(state.checkpoints.get(peers[0] as string)?.length).toBe(CHECKPOINTS_KEPT);
  });

  test('answers to one peer are few between two pulses, however long they are and however often it asks', () => {
    const { hear, feed } = start();
    hear(primaryOfFirst, prePrepare(), batch);
    const want: Content = { kind: 'want', after: 0, view: 0, sequence: 1, digest };
    const [greedy, modest] = peers as [string, string];
    const ask = (sender: string, times: number): number =>
      Array.from({ length: times }, () => hear(sender, want))
        .flat()
        .filter((effect) => effect.type === 'transmit' && effect.to === sender).length;
    expect(ask(greedy, 1_000)).toBe(HELP_MAX);
    expect(ask(modest, 1)).toBe(1);
    feed({ type: 'timeout', id: 'pulse' });
    expect(ask(greedy, 1_000)).toBe(HELP_MAX);
  });

  test('a new view is told again only so often to one that pretends to have missed it', () => {
    const { hear } = start();
    hear(primaryOfNext, ...withEvidence(newView(peers)));
    const late: Content = { kind: 'status', epoch: 1, view: 0, committed: 0 };
    const told = Array.from({ length: 100 }, () => hear(peers[0] as string, late))
      .flat()
      .filter((effect) => effect.type === 'transmit');
    expect(told).toHaveLength(HELP_MAX);
  });

  test('claims of strangers are limited, and each costs at most a question', () => {
    const { state, hear } = start();
    for (let i = 0; i < 1000; i++)
      hear(`stranger ${i}`, { kind: 'status', epoch: 1, view: 0, committed: 1_000_000 });
    expect(state.claims.size).toBe(256);
  });
});

describe('the rim', () => {
  test('gets a decision as the last effect, after all timers have been set', () => {
    const replica = start();
    replica.feed({ type: 'request', operation: batch[0] as Uint8Array });
    replica.hear(primaryOfFirst, prePrepare(), batch);
    for (const id of peers.slice(1)) replica.hear(id, commit());
    const effects = types(replica.hear(peers[0] as string, commit()));
    expect(effects).toContain('startTimer');
    expect(effects.indexOf('commit')).toBe(effects.length - 1);
  });

  test('may time out a timer that was stopped meanwhile', () => {
    const { state } = createReplica({ id: backup, networkId, members, verify: verifyCheaply });
    expect(types(step(state, { type: 'timeout', id: 'progress' }).effects)).toEqual([]);
    expect(state.view).toBe(0);
  });

  test('must report the execution that it was asked for, and no other', () => {
    const { feed } = start();
    expect(() => feed({ type: 'executed', sequence: 1, members: null })).toThrow(/assertion failed/);
  });
});
