import type { SeededRandom } from '../kernel/random.ts';
import type { SandboxCondition } from '../twins/sandbox.ts';
import type { Host } from '../world/host.ts';
import type { OwnerHost } from '../world/owner-host.ts';
import { GOOD_MACHINE, type World } from '../world/world.ts';
import type { Counts } from './counts.ts';
import type { Fault } from './plan.ts';

/** What happens to machines: loss of power, full disks, bad clocks, TPMs that start anew, an RPC that does not answer. */
export class Accidents {
  readonly #world: World;
  readonly #faults: ReadonlySet<Fault>;
  readonly #counts: Counts;
  readonly #random: SeededRandom;
  readonly #rpcDownUntilMs = new Map<string, number>();
  #isOver = false;

  constructor(world: World, faults: ReadonlySet<Fault>, counts: Counts) {
    this.#world = world;
    this.#faults = faults;
    this.#counts = counts;
    this.#random = world.kernel.random.fork('accidents');
    world.conditions.rpc = (name) => () => this.#rpc(name);
    world.conditions.sandbox = () => this.#sandbox();
    for (const host of world.hosts) this.#setClock(host);
  }

  /** Called every second. */
  happen(): void {
    if (this.#isOver) return;
    const { kernel, hosts, owners } = this.#world;
    const random = this.#random;
    const host = random.pick(hosts);
    if (host.isOn && this.#strikes('crash', 0.06)) this.#powerOff(host, random.integer(100, 10_000));
    if (this.#strikes('blackout', 0.02))
      for (const each of hosts) this.#powerOff(each, random.integer(100, 3_000));
    if (this.#strikes('torn-write', 0.04)) host.disk.tearNext();
    if (this.#strikes('disk-full', 0.05)) {
      host.disk.fill();
      kernel.note(host.name, 'disk is full');
      kernel.after(random.integer(1_000, 6_000), () => host.disk.fill(false));
    }
    if (this.#strikes('tpm-reset', 0.03)) {
      kernel.note(host.name, 'tpm is reset');
      host.tpm.reset();
    }
    if (this.#strikes('tpm-lock-out', 0.03)) host.tpm.lockOut(random.integer(500, 5_000));
    const owner = random.pick(owners);
    if (owner.isOn && this.#strikes('owner-crash', 0.03)) this.#turnOff(owner, random.integer(100, 5_000));
    if (this.#strikes('rpc-down', 0.05))
      this.#rpcDownUntilMs.set(host.name, kernel.nowMs + random.integer(500, 8_000));
  }

  /** From here on nothing happens any more, and what was broken works again. */
  end(): void {
    this.#isOver = true;
    for (const host of this.#world.hosts) {
      host.disk.fill(false);
      host.disk.tearNext(false);
      host.tpm.lockOut(0);
      host.clockError.skewMs = 0;
      host.clockError.drift = 0;
    }
  }

  #powerOff(host: Host, offMs: number): void {
    if (!host.isOn) return;
    this.#world.kernel.note(host.name, `loses power for ${offMs} ms`);
    host.crash();
    this.#world.kernel.after(offMs, () => host.start());
  }

  #turnOff(owner: OwnerHost, offMs: number): void {
    this.#world.kernel.note(owner.name, `loses power for ${offMs} ms`);
    owner.crash();
    this.#world.kernel.after(offMs, () => owner.start());
  }

  #sandbox(): SandboxCondition {
    if (this.#isOver) return GOOD_MACHINE;
    return {
      slowness: this.#strikes('slow-sandbox', 0.4) ? this.#random.integer(2, 10) : 1,
      isLittering: this.#strikes('littering-sandbox', 0.3),
      isBreaking: this.#strikes('failing-sandbox', 0.3),
    };
  }

  #setClock(host: Host): void {
    if (this.#strikes('clock-skew', 0.5)) host.clockError.skewMs = this.#random.integer(-600_000, 600_000);
    if (this.#strikes('clock-drift', 0.5)) host.clockError.drift = this.#random.integer(-50, 50) / 1_000;
  }

  #rpc(name: string): number | undefined {
    if (this.#isOver) return 5;
    if ((this.#rpcDownUntilMs.get(name) ?? 0) > this.#world.kernel.nowMs) return undefined;
    return this.#strikes('rpc-slow', 0.05) ? this.#random.integer(100, 2_000) : this.#random.integer(1, 10);
  }

  #strikes(fault: Fault, probability: number): boolean {
    if (!this.#faults.has(fault) || !this.#random.chance(probability)) return false;
    this.#counts.add(fault);
    return true;
  }
}
