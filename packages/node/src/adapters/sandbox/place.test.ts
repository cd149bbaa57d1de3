import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { claimIds, claimPlace, disownPlace, isAbandoned, placeOf, releasePlace } from './place.ts';
import { removeAbandoned } from './recover.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'nemea-place-'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** A process that is certainly gone. */
function deadOwner(): string {
  return `${spawnSync('/bin/true').pid}-1`;
}

describe('the place of a node on its machine', () => {
  test('is passable and not listable for others', () => {
    const place = placeOf(root, 'n1');
    claimPlace(place);
    for (const folder of [place.folder, place.runsFolder, place.imagesFolder]) {
      expect(statSync(folder).mode & 0o777).toBe(0o711);
    }
    expect(statSync(place.runcRoot).mode & 0o777).toBe(0o700);
  });

  test('has an id range of its own, keeps it over a restart, and gives it back', () => {
    const [one, two, three] = ['n1', 'n2', 'n3'].map((nodeId) => placeOf(root, nodeId)) as [
      Place,
      Place,
      Place,
    ];
    for (const place of [one, two]) claimPlace(place);
    expect([claimIds(one), claimIds(two), claimIds(one)]).toEqual([200_000, 265_536, 200_000]);
    releasePlace(one);
    claimPlace(three);
    expect(claimIds(three)).toBe(200_000);
    expect(readdirSync(root).sort()).toEqual(['.slots', 'n2', 'n3']);
  });

  test('is refused to a second owner while the first lives, and given when it is dead or has let go', () => {
    const place = placeOf(root, 'n1');
    claimPlace(place);
    expect(() => claimPlace(place)).toThrow(expect.objectContaining({ code: 'SANDBOX_PREFIX_TAKEN' }));
    disownPlace(place);
    symlinkSync(deadOwner(), join(place.folder, 'owner'));
    expect(isAbandoned(place)).toBe(true);
    claimPlace(place);
    expect(isAbandoned(place)).toBe(false);
  });

  test('is removed as a whole when its process is gone, and only then', async () => {
    const [living, dead] = ['living', 'dead'].map((nodeId) => placeOf(root, nodeId)) as [Place, Place];
    for (const place of [living, dead]) claimPlace(place);
    claimIds(dead);
    disownPlace(dead);
    symlinkSync(deadOwner(), join(dead.folder, 'owner'));
    expect(await removeAbandoned(root)).toEqual(['dead']);
    expect(existsSync(dead.folder)).toBe(false);
    expect(existsSync(living.folder)).toBe(true);
    expect(readdirSync(dead.slotsFolder)).toEqual([]);
  });
});

type Place = ReturnType<typeof placeOf>;
