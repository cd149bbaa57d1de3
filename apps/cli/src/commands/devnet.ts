import { renameSync, writeFileSync } from 'node:fs';
import { CodedError } from '@nemea/core';
import type { Command } from 'commander';
import type { Devnet } from '../devnet/devnet.ts';
import { readFile } from '../files.ts';
import { whole } from '../options.ts';
import { print, tell, untilStopped } from '../output.ts';

class AccountError extends CodedError<'ACCOUNT_INVALID'> {}

export const DEFAULT_DIR = '.nemea/devnet';

export function addDevnetCommands(program: Command): void {
  const devnet = program.command('devnet').description('a local network with its own layer 1 and TPM makers');

  devnet
    .command('up')
    .description('start layer 1 and founding nodes that attest each other')
    .option('--nodes <N>', 'founding nodes, 4 to 16', whole(4, 16), 5)
    .option('--dir <DIR>', 'where everything of this network lies', DEFAULT_DIR)
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea devnet up --nodes 5')
    .action(async (options: { nodes: number; dir: string; json?: boolean }) => {
      const net = await openDevnet(options.dir);
      try {
        await net.up(options.nodes, []);
      } catch (error) {
        await net.down();
        throw error;
      }
      print(options, { dir: net.paths.dir, network: net.network }, `devnet is up in ${net.paths.dir}`);
    });

  devnet
    .command('down')
    .description('stop every process of a devnet; its folder stays')
    .option('--dir <DIR>', 'folder of the network', DEFAULT_DIR)
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea devnet down --dir .nemea/devnet')
    .action(async (options: { dir: string; json?: boolean }) => {
      const net = await openDevnet(options.dir);
      const stopped = net.processes.all.map(({ name }) => name);
      await net.down();
      print(options, { stopped }, stopped.length === 0 ? 'nothing ran' : `stopped ${stopped.join(', ')}`);
    });

  devnet
    .command('status')
    .description('what runs, and what each node says of itself')
    .option('--dir <DIR>', 'folder of the network', DEFAULT_DIR)
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea devnet status --json')
    .action(async (options: { dir: string; json?: boolean }) => {
      const net = await openDevnet(options.dir);
      const rows = await Promise.all(
        net.processes.all.map(async (process) => ({
          ...process,
          alive: net.processes.isAlive(process.name),
          status: process.name.startsWith('node-')
            ? await net.status(Number(process.name.slice(5)))
            : undefined,
        })),
      );
      const lines = rows.map(({ name, alive, pid, status }) => {
        const said =
          status === undefined
            ? ''
            : `epoch ${status.epoch}, sequence ${status.sequence}, ${status.peers} peers, ${status.rssMb} MB`;
        return `${name.padEnd(10)} ${alive ? 'up' : 'down'}  pid ${pid}  ${said}`;
      });
      print(options, rows, lines.join('\n') || 'nothing runs');
    });

  devnet
    .command('compile', { hidden: true })
    .description('load what nodes and clients load, so that its compiled form is kept')
    .action(async () => {
      await Promise.all([import('../node/start.ts'), import('../client/start.ts')]);
      const { loadCapsuleStore } = await import('@nemea/node/adapters');
      await loadCapsuleStore();
    });

  devnet
    .command('fund <ACCOUNT>')
    .description('give an account gas and fee tokens; with --deposit also the deposit that a node needs')
    .option('--deposit', 'stake a node deposit for the account')
    .option('--dir <DIR>', 'folder of the network', DEFAULT_DIR)
    .option('--json', 'print one JSON line')
    .addHelpText(
      'after',
      '\nExample:\n  nemea devnet fund 0x3b0b5dd889d9f0496341e4297b923274355ea103 --deposit',
    )
    .action(async (account: string, options: { deposit?: boolean; dir: string; json?: boolean }) => {
      const { CLIENT_TOKENS, DEPOSIT } = await import('../devnet/devnet.ts');
      if (!/^0x[0-9a-f]{40}$/i.test(account)) {
        throw new AccountError('ACCOUNT_INVALID', `account: got ${account}, want 0x and 40 digits in hex`);
      }
      const net = await openDevnet(options.dir);
      await net.fund([account], options.deposit === true ? DEPOSIT : 0n, CLIENT_TOKENS);
      print(options, { account }, `funded ${account}`);
    });

  devnet
    .command('approve-code <FILE>')
    .description("approve a task's code in PolicyRegistry, as the devnet's governor")
    .option('--dir <DIR>', 'folder of the network', DEFAULT_DIR)
    .option('--json', 'print one JSON line')
    .addHelpText('after', '\nExample:\n  nemea devnet approve-code examples/hello-capsule/hello.py')
    .action(async (file: string, options: { dir: string; json?: boolean }) => {
      const { sha256, toHex } = await import('@nemea/core');
      const code = readFile(file);
      await (await openDevnet(options.dir)).approveCode(code);
      const digest = toHex(sha256(code));
      print(options, { digest }, `approved ${digest}`);
    });

  devnet
    .command('layer1', { hidden: true })
    .requiredOption('--dir <DIR>')
    .action(async (options: { dir: string }) => {
      const { startAnvil } = await import('@nemea/node/anvil');
      const { devnetPaths } = await import('../devnet/paths.ts');
      const paths = devnetPaths(options.dir);
      const anvil = await startAnvil({ blockTimeS: 1, stateFile: paths.layer1State });
      writeFileSync(`${paths.layer1}.new`, JSON.stringify({ rpcUrl: anvil.rpcUrl, chainId: anvil.chainId }));
      renameSync(`${paths.layer1}.new`, paths.layer1);
      await untilStopped(() => anvil.stop());
    });
}

async function openDevnet(dir: string): Promise<Devnet> {
  const { Devnet } = await import('../devnet/devnet.ts');
  return new Devnet(dir, tell);
}
