import { initialState, withoutMember } from '@nemea/membership';
import { NETWORK_ID } from '@nemea/membership/testing';
import { expect, test } from 'vitest';
import { overlayOf, silent, TestChain, type TestNode, testNodes } from '../testing.ts';
import { Members } from './members.ts';
import { peerIdOf } from './peer-id.ts';

test('whoever was evicted is a neighbour again once a roster has it, though its enrolment was told to nobody', async () => {
  const nodes = testNodes(3);
  const [self, other] = nodes as [TestNode, TestNode];
  const chain = new TestChain(nodes);
  const founded = initialState(NETWORK_ID, chain.history);
  let { roster } = founded;
  const members = new Members(chain.ledgerOf(self), silent, () => ({ ...founded, roster }));
  const readmitted: string[] = [];
  const unused = () => Promise.reject(new Error('nobody asks'));
  const overlay = { ...overlayOf(unused), readmit: (peer: string) => void readmitted.push(peer) };
  const peer = peerIdOf(other.record.peerKey);

  roster = withoutMember(roster, other.account);
  await members.evict(overlay, other.account, other.record.peerKey);
  members.follow(overlay, roster);
  expect(members.byPeer(peer)).toBeUndefined();

  ({ roster } = founded);
  members.follow(overlay, roster);
  expect(members.byPeer(peer)?.account).toBe(other.account);
  expect(readmitted).toEqual([peer]);
});
