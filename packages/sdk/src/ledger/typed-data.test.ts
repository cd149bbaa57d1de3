import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashTypedData, keccak256, toHex } from 'viem';
import { describe, expect, test } from 'vitest';
import { nemeaDomain, voteTypes } from './typed-data.ts';

const contracts = join(import.meta.dirname, '..', '..', '..', '..', 'contracts', 'src');
const voteHash = readFileSync(join(contracts, 'libraries', 'VoteHash.sol'), 'utf8');
const votes = readFileSync(join(contracts, 'types', 'Votes.sol'), 'utf8');

describe.each(Object.entries(voteTypes))('the vote %s', (name, fields) => {
  const encoded = `${name}(${fields.map((field) => `${field.type} ${field.name}`).join(',')})`;

  test('has the type string that the contract hashes', () => {
    expect(voteHash).toContain(`"${encoded}"`);
  });

  test('has the fields of the Solidity structure, in order', () => {
    const body = new RegExp(`struct ${name} \\{([^}]*)\\}`).exec(votes)?.[1] ?? '';
    const declared = [...body.matchAll(/^\s*(\S+) (\w+);/gm)].map(([, type, field]) => `${type} ${field}`);
    expect(declared).toEqual(fields.map((field) => `${field.type} ${field.name}`));
  });
});

test('the contract hashes no vote that the table lacks', () => {
  const hashed = [...voteHash.matchAll(/"(\w+)\(/g)].map(([, name]) => name);
  expect(hashed.sort()).toEqual(Object.keys(voteTypes).sort());
});

test('the digest changes with the chain and with the registry, so no vote counts twice', () => {
  const address = (salt: string) => `0x${keccak256(toHex(salt)).slice(26)}` as const;
  const message = { disputeId: keccak256(toHex('dispute')), guilty: true };
  const digests = [
    nemeaDomain(1, address('a')),
    nemeaDomain(2, address('a')),
    nemeaDomain(1, address('b')),
  ].map((domain) => hashTypedData({ domain, types: voteTypes, primaryType: 'DisputeVerdict', message }));
  expect(new Set(digests).size).toBe(3);
});
