import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Field, until } from '../e2e/test/field.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const MAIN = join(import.meta.dirname, '../main.ts');
const UNJUDGED = 'MEMBER_NEEDED';

let field: Field;
beforeAll(async () => {
  field = await Field.open({ nodes: 4, codes: [], clients: false });
});
afterAll(async () => {
  await field?.close();
});

interface Answer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function attest(...args: string[]): Promise<Answer> {
  const child = spawn(process.execPath, [MAIN, 'attest', ...args, '--dir', field.net.paths.dir]);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

/** Once a member was drawn to judge the node. */
function attestJudged(...args: string[]): Promise<Answer> {
  return until('a member judged the node', async () => {
    const answer = await attest(...args);
    return `${answer.stdout}${answer.stderr}`.includes(UNJUDGED) ? undefined : answer;
  });
}

describe('nemea attest NODE', () => {
  test('shows each claim of layer 1 and of a member as it shows those of a file', async () => {
    const { code, stdout, stderr } = await attestJudged('node-2', '--json');
    expect(`${code} ${stderr}`).toBe('0 ');
    expect(stdout.trimEnd()).not.toContain('\n');
    const answer = JSON.parse(stdout);
    expect(answer).toMatchObject({
      ok: true,
      trusted: true,
      verdict: 'warning',
      account: field.net.account(2),
      layer1: { chainId: 31337, nodeRegistry: field.net.network.contracts.nodeRegistry },
      akName: expect.stringMatching(/^000b[0-9a-f]{64}$/),
    });
    expect(answer.member).not.toBe(answer.account);
    const names = answer.claims.map(({ name }: { name: string }) => name);
    expect(names.slice(0, 6)).toEqual([
      'status',
      'deposit',
      'credit',
      'level',
      'admitted',
      'attestation-key',
    ]);
    expect(names).toHaveLength(25);
    for (const claim of answer.claims) {
      expect(Object.keys(claim).sort()).toEqual([
        'claimed',
        'detail',
        'name',
        'reason',
        'reference',
        'source',
        'verdict',
      ]);
    }
    const from = (field: string) => `nodeRegistry.node(account).${field} at block ${answer.layer1.block}`;
    expect(answer.claims[0]).toMatchObject({
      source: from('status'),
      claimed: 1,
      reference: 1,
      reason: 'OK',
    });
    expect(answer.claims[1]).toMatchObject({
      source: from('deposit'),
      claimed: expect.stringMatching(/^\d+$/),
      reference: expect.stringMatching(/^\d+ at least, of nodeRegistry\.depositMin\(\)$/),
    });
    expect(answer.claims[3]).toMatchObject({ verdict: 'warning', reason: 'LEVEL_DEVELOPMENT' });
    expect(answer.claims[6]).toMatchObject({
      name: 'signature',
      source: 'evidence.signature',
      verdict: 'affirming',
    });
  });

  test('reads well within 80 columns', async () => {
    const { code, stdout } = await attestJudged(field.net.account(2));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}ok {2}status {10}active member$/m);
    expect(stdout).toMatch(
      /^ {8}from nodeRegistry\.node\(account\)\.status at block \d+: 1; compared with 1$/m,
    );
    expect(stdout).toMatch(/^member 0x[0-9a-f]{40} judged it \d+ s ago$/m);
    expect(stdout).toMatch(
      /^ {8}from evidence\.attest\.extraData:\n {8}([0-9a-f]{64});\n {8}compared with\n {8}\1$/m,
    );
    expect(stdout).toMatch(/\ntrusted, with warnings: level LEVEL_DEVELOPMENT.*\n$/);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test('says in one line why it cannot judge, and exits with 2', async () => {
    const rows = [
      [await attest('node-9'), 'DEVICE_MISSING'],
      [await attest(`0x${'00'.repeat(20)}`), 'NODE_UNKNOWN'],
      [await attest('node-2', '--network', MAIN), 'NETWORK_INVALID'],
      [await attest('node-2', '--network', '/nowhere'), 'NETWORK_UNREADABLE'],
      [await attest('node-2', '--via', '/nowhere'), 'DEVICE_MISSING'],
      [await attest('node-2', '--via', field.net.paths.node(2)), UNJUDGED],
    ] as const;
    for (const [{ code, stdout, stderr }, reason] of rows) {
      expect(stderr).toMatch(new RegExp(`^nemea: ${reason}: .*\\n$`));
      expect({ code, stdout }, reason).toEqual({ code: 2, stdout: '' });
    }
  });

  test('asks the others when a member is gone, and says so when it was to be asked', async () => {
    await field.crash(1);
    expect(await attestJudged('node-3')).toMatchObject({ code: 0 });
    const { code, stderr } = await attest('node-3', '--via', field.net.paths.node(1));
    expect(stderr).toMatch(/^nemea: CONTROL_UNREACHABLE: .*\n$/);
    expect(code).toBe(2);
  });
});
