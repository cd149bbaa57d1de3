import { fromHex } from '@nemea/core';
import { expect, test } from 'vitest';
import { peerIdText } from './peer-id.ts';

test.each([
  [
    'RFC 8032, section 7.1, test 1',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV',
  ],
  [
    'RFC 8032, section 7.1, test 3',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    '12D3KooWSoKFn4y7TtC1chE8CRkXdPZZfkjfNbTSUK5rjjp4oPHn',
  ],
])('the key of %s has the peer id that libp2p gives it', (_name, key, peerId) => {
  expect(peerIdText(fromHex(key))).toBe(peerId);
});
