import { sha256, toHex } from '@nemea/core';
import { expect, test } from 'vitest';
import { encodeState } from './snapshot.ts';
import { foundNetwork, testMember, testMembers } from './testing.ts';

const members = testMembers(4);
const [first, second] = members as [(typeof members)[0], (typeof members)[0]];

test('a member that comes back asks for an epoch of consensus, and changes nothing else [MEMB-42]', () => {
  const { machine } = foundNetwork(members);
  const before = machine.state;
  expect(machine.order(first, { kind: 'rejoin', nonce: sha256() })).toBeUndefined();
  expect(machine.effects).toContainEqual({ type: 'rejoined', account: first.account });
  const { rejoins, ledgerBlock } = machine.state;
  expect(machine.state).toEqual({ ...before, rejoins, ledgerBlock });
  expect(toHex(encodeState(machine.state))).not.toBe(toHex(encodeState(before)));
});

test('a member may do so twice before an epoch closes, and a stranger never [MEMB-42]', () => {
  const { machine } = foundNetwork(members);
  const order = (author: typeof first, at: number) =>
    machine.order(author, { kind: 'rejoin', nonce: sha256(Uint8Array.of(at)) });
  expect([order(first, 1), order(first, 2), order(first, 3)]).toEqual([undefined, undefined, 'ALREADY_DONE']);
  expect(order(second, 4)).toBeUndefined();
  expect(order(testMember('stranger'), 5)).toBe('AUTHOR_NOT_MEMBER');
});
