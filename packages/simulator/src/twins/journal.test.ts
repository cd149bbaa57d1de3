import { journalCompliance } from '@nemea/node/ports/testing';
import { describe, expect, it } from 'vitest';
import { SimulatedDisk } from './journal.ts';
import { Life } from './life.ts';

const noHooks = { onAppend: () => undefined, onTorn: () => undefined };

describe('the journal on a simulated disk', () => {
  const storage = () => {
    const disk = new SimulatedDisk();
    return { open: (owner: string) => disk.open(owner, new Life(), noHooks), rot: () => disk.rot() };
  };
  for (const { title, run } of journalCompliance(storage)) it(title, run);

  it('writes nothing while the disk is full, and goes on when it is not', () => {
    const disk = new SimulatedDisk();
    const journal = disk.open('node-a', new Life(), noHooks);
    disk.fill();
    expect(() => journal.append('vote', [Uint8Array.of(1)])).toThrow(/no space/);
    disk.fill(false);
    journal.append('vote', [Uint8Array.of(2)]);
    expect(journal.read('vote')).toEqual([Uint8Array.of(2)]);
  });

  it('writes what was left for later no sooner for being read or trimmed while the disk is full', () => {
    const disk = new SimulatedDisk();
    const journal = disk.open('node-a', new Life(), noHooks);
    journal.appendLater('vote', [Uint8Array.of(1)]);
    disk.fill();
    for (const use of [
      () => journal.settle(),
      () => journal.read('vote'),
      () => journal.readRange('vote', 0, 1),
      () => journal.trim('vote', 1),
      () => journal.close(),
    ])
      expect(use).toThrow(/no space/);
    disk.fill(false);
    expect(journal.read('vote')).toEqual([Uint8Array.of(1)]);
  });

  it('loses a transaction whole when power fails in the middle of it', () => {
    const disk = new SimulatedDisk();
    let torn = 0;
    const journal = disk.open('node-a', new Life(), { ...noHooks, onTorn: () => torn++ });
    journal.append('vote', [Uint8Array.of(1)]);
    disk.tearNext();
    expect(() => journal.append('vote', [Uint8Array.of(2), Uint8Array.of(3)])).toThrow(/power was lost/);
    expect(torn).toBe(1);
    expect(disk.open('node-a', new Life(), noHooks).read('vote')).toEqual([Uint8Array.of(1)]);
  });

  it('brings back what was trimmed when power fails before the next append', () => {
    const disk = new SimulatedDisk();
    const journal = disk.open('node-a', new Life(), noHooks);
    journal.append('vote', [Uint8Array.of(1), Uint8Array.of(2)]);
    journal.trim('vote', 1);
    expect(journal.read('vote')).toEqual([Uint8Array.of(2)]);
    const again = disk.open('node-a', new Life(), noHooks);
    expect(again.read('vote')).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
    again.trim('vote', 1);
    again.append('vote', [Uint8Array.of(3)]);
    expect(disk.open('node-a', new Life(), noHooks).read('vote')).toEqual([
      Uint8Array.of(2),
      Uint8Array.of(3),
    ]);
  });

  it('has lost at the next loss of power what it wrote since it began to lie', () => {
    const disk = new SimulatedDisk();
    const journal = disk.open('node-a', new Life(), noHooks);
    journal.append('vote', [Uint8Array.of(1)]);
    disk.loseTail();
    journal.append('vote', [Uint8Array.of(2)]);
    expect(journal.read('vote')).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
    const again = disk.open('node-a', new Life(), noHooks);
    expect(again.read('vote')).toEqual([Uint8Array.of(1)]);
    again.append('vote', [Uint8Array.of(3)]);
    expect(disk.open('node-a', new Life(), noHooks).read('vote')).toHaveLength(2);
  });

  it('is refused when a bit of it has changed', () => {
    const disk = new SimulatedDisk();
    disk.open('node-a', new Life(), noHooks).append('vote', [Uint8Array.of(1)]);
    disk.rot();
    expect(() => disk.open('node-a', new Life(), noHooks)).toThrow(/checksum/);
  });

  it('takes nothing more from a process that is dead', () => {
    const disk = new SimulatedDisk();
    const life = new Life();
    const journal = disk.open('node-a', life, noHooks);
    life.end();
    expect(() => journal.append('vote', [Uint8Array.of(1)])).toThrow(/dead/);
  });

  it('loses what a process had left for later when power fails, whatever the process does then', () => {
    const disk = new SimulatedDisk();
    const life = new Life();
    const journal = disk.open('node-a', life, noHooks);
    journal.appendLater('vote', [Uint8Array.of(1)]);
    life.end();
    journal.close();
    expect(disk.open('node-a', new Life(), noHooks).read('vote')).toEqual([]);
  });
});
