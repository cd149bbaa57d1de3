import { fromUtf8, sha256 } from '@nemea/core';
import type { SeededRandom } from '../kernel/random.ts';
import type { Release } from '../twins/device.ts';
import type { Host } from './host.ts';
import { FIRST_RELEASE, GOVERNOR, type World } from './world.ts';

export const NEXT_RELEASE: Release = { digest: sha256(fromUtf8('the next release')), name: 'nemea, next' };
const UPDATE_MS = 500;
/** How long operators take to update, and governors to withdraw what was before. */
const UPDATES_MS = 5_000;
const WITHDRAWAL_MS = 8_000;
const LOOK_MS = 1_000;

/** Gives up membership on layer 1; the machine stays on until the others have let it go, so that they are not one fewer before [MEMB-21]. */
export function leave({ kernel, chain }: World, host: Host): void {
  kernel.note(host.name, 'gives up membership');
  host.isLeaving = true;
  chain.send(host.account, { kind: 'exit' });
  kernel.every(LOOK_MS, () => {
    if (host.node?.status().isMember !== false) return;
    kernel.note(host.name, 'is turned off for good');
    host.crash();
  });
}

/** Starts a machine anew with the next release. */
export function update({ kernel }: World, host: Host): void {
  host.release = NEXT_RELEASE;
  if (!host.isOn) return;
  kernel.note(host.name, 'is updated');
  host.crash();
  kernel.after(UPDATE_MS, () => host.start());
}

export function approveRelease({ chain }: World, { digest }: Release, approved = true): void {
  chain.send(GOVERNOR, { kind: 'policy', policy: 'release', digest, approved });
}

/** A release is approved, all update in their own time, and what they ran before is withdrawn [MEMB-24]. */
export function rollOut(world: World, random: SeededRandom): void {
  const { kernel, hosts } = world;
  approveRelease(world, NEXT_RELEASE);
  for (const host of hosts) kernel.after(random.integer(0, UPDATES_MS), () => update(world, host));
  kernel.after(WITHDRAWAL_MS, () => approveRelease(world, FIRST_RELEASE, false));
}
