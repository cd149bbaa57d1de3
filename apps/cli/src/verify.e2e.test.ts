import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEvidence } from '@nemea/attestation';
import { type CleanupCertificate, encodeCleanupCertificate, parseCleanupCertificate } from '@nemea/capsule';
import { type CborValue, decodeCbor, encodeCbor, fromHex, toHex } from '@nemea/core';
import {
  type Finding,
  type Ledger,
  openLedger,
  parseNetwork,
  parseReport,
  type Report,
  verifyReport,
} from '@nemea/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Devnet } from './devnet/devnet.ts';

/** Only a hang reaches it: a demo takes less than a minute on an idle machine. */
const HOOK_TIMEOUT_MS = 600_000;

const MAIN = join(import.meta.dirname, 'main.ts');
const dir = mkdtempSync(join(tmpdir(), 'nemea-verify-'));
const file = join(dir, 'report.json');

let rpcUrl = '';
let ledger: Ledger;
let truth: Report;

/** Runs the command line in a process of its own. */
function nemea(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

beforeAll(async () => {
  const demo = await nemea('demo', '--dir', dir, '--keep');
  expect(demo.code, demo.stderr).toBe(0);
  const network = parseNetwork(readFileSync(join(dir, 'network.json'), 'utf8'));
  rpcUrl = network.rpcUrl;
  ledger = await openLedger(network);
  truth = parseReport(readFileSync(file, 'utf8'));
}, HOOK_TIMEOUT_MS);

afterAll(async () => {
  await nemea('devnet', 'down', '--dir', dir);
  rmSync(dir, { recursive: true, force: true });
}, HOOK_TIMEOUT_MS);

describe('a true report', () => {
  test('is called true, with a line for every check', async () => {
    const { code, stdout } = await nemea('verify', file, '--rpc', rpcUrl);
    expect(stdout).toMatch(/^TRUE: \d+ checks hold$/m);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(code).toBe(0);
  });

  test('is called true as one JSON line, held against the network document that the reader trusts', async () => {
    const trusted = join(dir, 'network.json');
    const { code, stdout } = await nemea('verify', file, '--rpc', rpcUrl, '--network', trusted, '--json');
    const answer = JSON.parse(stdout) as { ok: boolean; findings: Finding[] };
    expect(answer.findings.filter(({ ok }) => !ok)).toEqual([]);
    expect(answer.ok).toBe(true);
    expect(stdout.trimEnd()).not.toContain('\n');
    expect(code).toBe(0);
  });
});

describe('with every node stopped, so that layer 1 alone can tell', () => {
  test('a true report is true, and credit redone by the rules has the roots on layer 1', async () => {
    const { processes } = new Devnet(dir, (_what, work) => work());
    const nodes = processes.all.map(({ name }) => name).filter((name) => name !== 'layer-1');
    await Promise.all(nodes.map((name) => processes.stop(name)));
    const findings = await verifyReport(truth, ledger);
    expect(findings.filter(({ ok }) => !ok)).toEqual([]);
    const credit = findings.find(({ check }) => check === 'credit')?.detail ?? '';
    expect(Number(/(\d+) epochs/.exec(credit)?.[1]), credit).toBeGreaterThanOrEqual(2);
  });
});

describe('what cannot be judged', () => {
  test('a report that cannot be read ends with code 2', async () => {
    const broken = join(dir, 'broken.json');
    writeFileSync(broken, readFileSync(file, 'utf8').slice(0, -9));
    const { code, stdout, stderr } = await nemea('verify', broken, '--rpc', rpcUrl);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('REPORT_MALFORMED');
  });

  test('a layer 1 that nobody serves ends with code 2', async () => {
    const { code, stderr } = await nemea('verify', file, '--rpc', 'http://127.0.0.1:9');
    expect(stderr).toContain('LEDGER_UNREACHABLE');
    expect(code).toBe(2);
  });

  test('a missing option ends with code 2', async () => {
    expect((await nemea('verify', file)).code).toBe(2);
  });
});

describe('a forged report, by the command line', () => {
  test('ends with code 1 and names the lie', async () => {
    const forged = join(dir, 'forged.json');
    const report = structuredClone(truth);
    report.task.settleGas -= 1;
    writeFileSync(forged, JSON.stringify(report));
    const { code, stdout } = await nemea('verify', forged, '--rpc', rpcUrl, '--json');
    const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: Finding[] };
    expect({ code, ok }).toEqual({ code: 1, ok: false });
    expect(findings).toContainEqual(expect.objectContaining({ check: 'settlement', ok: false }));
  });

  test('a registry at an address where none is ends with code 1', async () => {
    const forged = join(dir, 'forged.json');
    const report = structuredClone(truth);
    report.network.contracts.nodeRegistry = `0x${'11'.repeat(20)}`;
    writeFileSync(forged, JSON.stringify(report));
    const { code, stdout } = await nemea('verify', forged, '--rpc', rpcUrl);
    expect(stdout).toContain('no NodeRegistry answers');
    expect(code).toBe(1);
  });

  test('a report of another network than the trusted one ends with code 1', async () => {
    const trusted = join(dir, 'trusted.json');
    const network = JSON.parse(readFileSync(join(dir, 'network.json'), 'utf8'));
    network.contracts.nodeRegistry = `0x${'22'.repeat(20)}`;
    writeFileSync(trusted, JSON.stringify(network));
    const { code, stdout } = await nemea('verify', file, '--rpc', rpcUrl, '--network', trusted);
    expect(stdout).toContain('contract nodeRegistry: got');
    expect(code).toBe(1);
  });
});

/** Each forger changes one thing; the verifier has to name it. */
interface Forgery {
  readonly lie: string;
  readonly forge: (report: Report) => void;
  readonly check: string | RegExp;
  readonly detail: RegExp;
}

const FORGERIES: readonly Forgery[] = [
  {
    lie: 'another chain',
    forge: (report) => {
      report.network.chainId += 1;
    },
    check: 'network',
    detail: /chain id/,
  },
  {
    lie: 'another escrow contract',
    forge: (report) => {
      report.network.contracts.taskEscrow = report.network.contracts.disputes as string;
    },
    check: 'network',
    detail: /taskEscrow/,
  },
  {
    lie: 'epochs of another length',
    forge: (report) => {
      report.network.epochMs *= 2;
    },
    check: 'network',
    detail: /length of an epoch/,
  },
  {
    lie: 'a node that layer 1 never admitted',
    forge: (report) => {
      const node = structuredClone(nodeAt(report, 0));
      report.nodes.push({ ...node, name: 'node-99', account: `0x${'ab'.repeat(20)}`, peerId: '' });
    },
    check: 'admission of node-99',
    detail: /account that was admitted/,
  },
  {
    lie: 'a node left out',
    forge: (report) => {
      const [gone] = report.nodes.splice(1, 1);
      report.candidacies = report.candidacies.filter(({ account }) => account !== gone?.account);
    },
    check: 'members',
    detail: /leaves out 0x/,
  },
  {
    lie: "another node's admission",
    forge: (report) => {
      nodeAt(report, 0).admission = nodeAt(report, 1).admission;
    },
    check: 'admission of node-1',
    detail: /account that was admitted/,
  },
  {
    lie: 'an admission that is another transaction',
    forge: (report) => {
      nodeAt(report, 0).admission.txHash = evictionOf(report).txHash;
    },
    check: 'admission of node-1',
    detail: /is no admission/,
  },
  {
    lie: 'a transaction that never was',
    forge: (report) => {
      nodeAt(report, 0).admission.txHash = `0x${'77'.repeat(32)}`;
    },
    check: 'admission of node-1',
    detail: /not on layer 1/,
  },
  {
    lie: 'a higher assurance level',
    forge: (report) => {
      nodeAt(report, 0).level = 3;
    },
    check: 'admission of node-1',
    detail: /level: got 3, want 1/,
  },
  {
    lie: "another node's peer id",
    forge: (report) => {
      nodeAt(report, 0).peerId = nodeAt(report, 1).peerId;
    },
    check: 'admission of node-1',
    detail: /peer id/,
  },
  {
    lie: 'a stranger called a founder',
    forge: (report) => {
      for (const node of report.nodes) node.isGenesis = true;
    },
    check: /^admission of/,
    detail: /no genesis member/,
  },
  {
    lie: "judges' proofs exchanged",
    forge: (report) => {
      const { judgements } = candidacyOf(report);
      const [first, second] = judgements as [Judgement, Judgement];
      [first.proof, second.proof] = [second.proof, first.proof];
    },
    check: /^jury of/,
    detail: /VRF proof of judge node-\d does not verify/,
  },
  {
    lie: 'a jury that refused',
    forge: (report) => {
      for (const judgement of candidacyOf(report).judgements) judgement.verdict = 'contraindicated';
    },
    check: /^jury of/,
    detail: /two thirds of the judges/,
  },
  {
    lie: 'a jury most of which was silent',
    forge: (report) => {
      const candidacy = candidacyOf(report);
      candidacy.judgements.splice(2);
      candidacy.seated = report.nodes.filter((it) => it.isGenesis).map(({ account }) => account);
    },
    check: /^jury of/,
    detail: /two thirds of the judges/,
  },
  {
    lie: 'a judge without a seat',
    forge: (report) => {
      const candidacy = candidacyOf(report);
      candidacy.seated = candidacy.seated.filter((it) => it !== candidacy.judgements[0]?.account);
    },
    check: /^jury of/,
    detail: /judges without a seat/,
  },
  {
    lie: 'a jury of another application',
    forge: (report) => {
      candidacyOf(report).applicationDigest = '00'.repeat(32);
    },
    check: /^jury of/,
    detail: /is not this node's application/,
  },
  {
    lie: 'a jury of another epoch',
    forge: (report) => {
      candidacyOf(report).epoch -= 1;
    },
    check: /^jury of/,
    detail: /does not verify for this draw|too late/,
  },
  {
    lie: 'a stranger without a jury',
    forge: (report) => {
      report.candidacies = [];
    },
    check: 'strangers',
    detail: /shows no jury/,
  },
  {
    lie: "a leaf's verdict turned",
    forge: (report) => changeLeaf(report, (leaf) => ({ ...leaf, verdict: 'contraindicated' })),
    check: /^record of epoch/,
    detail: /not those that the quorum signed for/,
  },
  {
    lie: 'an attestation dropped',
    forge: (report) => {
      fullEpoch(report).leaves.pop();
    },
    check: /^record of epoch/,
    detail: /not those that the quorum signed for/,
  },
  {
    lie: 'an attestation counted twice',
    forge: (report) => {
      const { leaves } = fullEpoch(report);
      leaves.push(leaves.at(-1) as string);
    },
    check: /^attestations of epoch/,
    detail: /out of order or twice/,
  },
  {
    lie: 'an attestor that was not drawn',
    forge: (report) => {
      const { leaves } = fullEpoch(report);
      const proof = leafOf(leaves[1] as string).proof as Uint8Array;
      leaves[0] = toHex(encodeCbor({ ...leafOf(leaves[0] as string), proof }));
    },
    check: /^attestations of epoch/,
    detail: /VRF proof of attestor node-\d does not verify/,
  },
  {
    lie: 'evidence that the target never gave',
    forge: (report) => changeLeaf(report, (leaf) => ({ ...leaf, evidenceDigest: new Uint8Array(32) })),
    check: /^attestations of epoch/,
    detail: /not signed by its peer key/,
  },
  {
    lie: 'a leaf in another encoding',
    forge: (report) => {
      fullEpoch(report).leaves[0] += '00';
    },
    check: /^attestations of epoch/,
    detail: /leaf 0 cannot be read/,
  },
  {
    lie: 'an epoch left out',
    forge: (report) => {
      report.epochs.splice(1, 1);
    },
    check: 'epochs',
    detail: /leaves out epoch/,
  },
  {
    lie: 'an epoch shown twice',
    forge: (report) => {
      report.epochs.push(structuredClone(fullEpoch(report)));
    },
    check: 'epochs',
    detail: /out of order or twice/,
  },
  {
    lie: "another epoch's record",
    forge: (report) => {
      const [first, second] = report.epochs as [Report['epochs'][number], Report['epochs'][number]];
      first.txHash = second.txHash;
    },
    check: /^record of epoch/,
    detail: /epoch on layer 1/,
  },
  {
    lie: 'a capsule of another owner',
    forge: (report) => {
      const [first, second] = report.capsules as [Report['capsules'][number], Report['capsules'][number]];
      first.owner = second.owner;
    },
    check: /^capsule/,
    detail: /owner: got/,
  },
  {
    lie: 'a capsule somewhere else',
    forge: (report) => {
      const [first] = report.capsules as [Report['capsules'][number]];
      first.cid = first.cid.replace(/.$/, (letter) => (letter === 'a' ? 'b' : 'a'));
    },
    check: /^capsule/,
    detail: /CID: got/,
  },
  {
    lie: 'another executor',
    forge: (report) => {
      const { election, bids } = report.task;
      const other = bids.find(({ account, execute }) => execute !== null && account !== election.executor);
      election.executor = other?.account ?? '';
    },
    check: 'election',
    detail: /commitment to the executor/,
  },
  {
    lie: 'a verifier exchanged for another member',
    forge: (report) => {
      const { election, bids } = report.task;
      const members = bids.map(({ account }) => account);
      const other = members.find((it) => it !== election.executor && !election.verifiers.includes(it));
      election.verifiers[0] = other ?? '';
    },
    check: /^draw$|^settlement$/,
    detail: /not the lowest draws|was not elected to verify/,
  },
  {
    lie: 'a lower draw than the key gives',
    forge: (report) => {
      const [bid] = report.task.bids as [Report['task']['bids'][number]];
      bid.verify.beta = '00'.repeat(32);
    },
    check: 'draw',
    detail: /is not its proof's/,
  },
  {
    lie: "another member's draw",
    forge: (report) => {
      const [first, second] = report.task.bids as [
        Report['task']['bids'][number],
        Report['task']['bids'][number],
      ];
      first.verify = second.verify;
    },
    check: 'draw',
    detail: /VRF proof of node-\d to verify does not verify/,
  },
  {
    lie: 'draws of another block',
    forge: (report) => {
      report.task.startBlock -= 1;
    },
    check: 'draw',
    detail: /does not verify for this draw/,
  },
  {
    lie: 'a clean-up certificate with another state after the run',
    forge: (report) => changeCertificate(report, (it) => ({ ...it, snapshotAfter: new Uint8Array(32) })),
    check: 'clean-up certificate',
    detail: /not the state before it/,
  },
  {
    lie: 'another code than was asked for',
    forge: (report) => changeCertificate(report, (it) => ({ ...it, codeDigest: new Uint8Array(32) })),
    check: 'clean-up certificate',
    detail: /digest of the code/,
  },
  {
    lie: 'a quote with a bit of its signature flipped',
    forge: (report) =>
      changeCertificate(report, (it) => ({
        ...it,
        quoteAfter: { ...it.quoteAfter, signature: flipped(it.quoteAfter.signature) },
      })),
    check: 'clean-up certificate',
    detail: /quote after is not signed by the executor's AK/,
  },
  {
    lie: 'the quote before shown as the quote after',
    forge: (report) => changeCertificate(report, (it) => ({ ...it, quoteAfter: it.quoteBefore })),
    check: 'clean-up certificate',
    detail: /quote after was made for another task, phase or state/,
  },
  {
    lie: 'the quote of another node',
    forge: (report) => {
      const { attest, signature } = parseEvidence(fromHex(evictionOf(report).evidence));
      changeCertificate(report, (it) => ({ ...it, quoteAfter: { attest, signature } }));
    },
    check: 'clean-up certificate',
    detail: /quote after/,
  },
  {
    lie: 'a certificate that layer 1 does not know',
    forge: (report) => changeCertificate(report, (it) => ({ ...it, finishedAtMs: it.finishedAtMs + 1 })),
    check: 'settlement',
    detail: /digest of the clean-up certificate/,
  },
  {
    lie: 'a verifier that saw the machine only once',
    forge: (report) => {
      report.task.reports[0]?.phases.pop();
    },
    check: 'settlement',
    detail: /phases seen by/,
  },
  {
    lie: "a verifier's report dropped",
    forge: (report) => {
      report.task.reports.shift();
    },
    check: 'settlement',
    detail: /no report of it is shown|want two thirds/,
  },
  {
    lie: 'evidence changed',
    forge: (report) => {
      evictionOf(report).evidence = evictionOf(report).evidence.replace(/.$/, (digit) =>
        digit === '0' ? '1' : '0',
      );
    },
    check: /^evidence against/,
    detail: /not signed by the peer key of the accused/,
  },
  {
    lie: 'an honest node called evicted',
    forge: (report) => {
      evictionOf(report).account = nodeAt(report, 0).account;
    },
    check: 'eviction of node-1',
    detail: /account that was evicted/,
  },
  {
    lie: 'an eviction kept quiet',
    forge: (report) => {
      report.evictions = [];
    },
    check: 'evictions',
    detail: /does not say why/,
  },
  {
    lie: 'an accuser that was not drawn',
    forge: (report) => {
      evictionOf(report).proof = candidacyOf(report).judgements[0]?.proof as string;
    },
    check: /^evidence against/,
    detail: /VRF proof of accuser/,
  },
  {
    lie: 'credit that nobody gave',
    forge: (report) => {
      nodeAt(report, 0).credit += 1;
    },
    check: 'standing',
    detail: /node-1: got credit/,
  },
  {
    lie: 'an evicted node called active',
    forge: (report) => {
      for (const node of report.nodes) node.status = 'active';
    },
    check: 'standing',
    detail: /the registry held credit 0, evicted/,
  },
  {
    lie: 'gas understated',
    forge: (report) => {
      report.gas.epochRecord -= 1;
    },
    check: 'gas',
    detail: /epoch record/,
  },
  {
    lie: 'results before the task was over, and a settlement before them',
    forge: (report) => {
      report.durationsMs.taskToResults = report.durationsMs.taskToSettlement + 1;
    },
    check: 'durations',
    detail: /task to results took/,
  },
  {
    lie: 'all well although a check failed',
    forge: (report) => {
      const [check] = report.checks as [Report['checks'][number]];
      check.ok = false;
    },
    check: 'verdict',
    detail: /1 checks failed/,
  },
  {
    lie: 'different results called equal',
    forge: (report) => {
      report.results.b = '00'.repeat(32);
    },
    check: 'verdict',
    detail: /different results/,
  },
];

describe('a forged report', () => {
  test.each(FORGERIES)('is caught with $lie', async ({ forge, check, detail }) => {
    const report = structuredClone(truth);
    forge(report);
    const lies = (await verifyReport(report, ledger)).filter(({ ok }) => !ok);
    const named = lies.filter((lie) =>
      typeof check === 'string' ? lie.check === check : check.test(lie.check),
    );
    expect(named.map((lie) => lie.detail).join('\n'), JSON.stringify(lies)).toMatch(detail);
  });
});

type Judgement = Report['candidacies'][number]['judgements'][number];
type Leaf = Record<string, CborValue>;

function nodeAt(report: Report, index: number): Report['nodes'][number] {
  return report.nodes[index] as Report['nodes'][number];
}

function candidacyOf(report: Report): Report['candidacies'][number] {
  return report.candidacies.find(({ outcome }) => outcome === 'admitted') as Report['candidacies'][number];
}

function evictionOf(report: Report): Report['evictions'][number] {
  return report.evictions[0] as Report['evictions'][number];
}

/** An epoch with several seats, which come first, and results. */
function fullEpoch(report: Report): Report['epochs'][number] {
  const isFull = (leaves: readonly string[]) =>
    leaves.length > 2 &&
    leafOf(leaves[1] as string).target === undefined &&
    leafOf(leaves.at(-1) as string).target !== undefined;
  return report.epochs.find(({ leaves }) => isFull(leaves)) as Report['epochs'][number];
}

function leafOf(encoded: string): Leaf {
  return decodeCbor(fromHex(encoded)) as Leaf;
}

function changeLeaf(report: Report, change: (leaf: Leaf) => Leaf): void {
  const { leaves } = fullEpoch(report);
  leaves.push(toHex(encodeCbor(change(leafOf(leaves.pop() as string)))));
}

function changeCertificate(report: Report, change: (it: CleanupCertificate) => CleanupCertificate): void {
  const certificate = parseCleanupCertificate(fromHex(report.task.certificate));
  report.task.certificate = toHex(encodeCleanupCertificate(change(certificate)));
}

function flipped(bytes: Uint8Array): Uint8Array {
  const changed = bytes.slice();
  changed[changed.length - 1] = (changed.at(-1) as number) ^ 1;
  return changed;
}
