import { join, resolve } from 'node:path';

/** Everything of one devnet lies in one folder. */
export interface DevnetPaths {
  readonly dir: string;
  readonly network: string;
  readonly genesis: string;
  readonly processes: string;
  readonly ca: string;
  readonly layer1: string;
  readonly layer1State: string;
  readonly results: string;
  readonly report: string;
  readonly node: (index: number) => string;
  readonly client: (name: string) => string;
}

export function devnetPaths(folder: string): DevnetPaths {
  const dir = resolve(folder);
  return {
    dir,
    network: join(dir, 'network.json'),
    genesis: join(dir, 'genesis.json'),
    processes: join(dir, 'processes.json'),
    ca: join(dir, 'ca'),
    layer1: join(dir, 'layer1.json'),
    layer1State: join(dir, 'layer1-state.json'),
    results: join(dir, 'results'),
    report: join(dir, 'report.json'),
    node: (index) => join(dir, 'nodes', `node-${index}`),
    client: (name) => join(dir, 'clients', name),
  };
}
