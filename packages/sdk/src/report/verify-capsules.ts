import { fromHex, toUtf8 } from '@nemea/core';
import { contractAbis } from '../client/ledger.ts';
import { examine, type Finding } from './finding.ts';
import { hex0x, type Inquiry, minedTo, readKnown, short } from './inquiry.ts';
import type { Report } from './report.ts';
import { decodeCall } from './vote-certificate.ts';

type Capsule = Report['capsules'][number];

/** Each capsule stands in the registry under its owner; what its key is released for is told as it stands now. */
export async function verifyCapsules(inquiry: Inquiry): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const capsule of inquiry.report.capsules) findings.push(...(await verifyCapsule(inquiry, capsule)));
  return findings;
}

function verifyCapsule(inquiry: Inquiry, capsule: Capsule): Promise<Finding[]> {
  return examine(`capsule ${short(capsule.capsuleId)}`, async (lies) => {
    const mined = await minedTo(inquiry, lies, 'capsuleRegistry', capsule.txHash);
    if (mined === undefined) return '';
    const call = decodeCall(contractAbis.capsuleRegistry, mined);
    if (call?.functionName !== 'register') {
      lies.add(`transaction ${capsule.txHash} registers no capsule`);
      return '';
    }
    const [capsuleId, cid] = call.args;
    lies.unlessEqual('capsule that was registered', capsuleId, `0x${capsule.capsuleId}`);
    lies.unlessEqual('owner', capsule.owner, mined.from);
    lies.unlessEqual('gas', capsule.gasUsed, mined.gasUsed);
    const text = lies.parsed('CID on layer 1', () => toUtf8(fromHex(cid)));
    if (text !== undefined) lies.unlessEqual('CID', capsule.cid, text);
    return `registered by its owner; ${await describeRule(inquiry, capsule)}`;
  });
}

async function describeRule({ report, ledger }: Inquiry, capsule: Capsule): Promise<string> {
  const id = `0x${capsule.capsuleId}`;
  const record = await readKnown<{ policy: string }>(ledger, 'capsuleRegistry', 'capsule', [id]);
  if (record?.policy.toLowerCase() !== ledger.network.contracts.releasePolicy.toLowerCase()) {
    return `keys by a policy contract of its own, ${record?.policy}`;
  }
  const rule = await readKnown<{ codeDigest: string; imageDigest: string; expiry: bigint }>(
    ledger,
    'releasePolicy',
    'ruleOf',
    [id],
  );
  if (rule === undefined || rule.expiry === 0n) return 'its rule is withdrawn by now';
  const { history } = ledger;
  const task = history.task(fromHex(report.task.taskId), history.head);
  if (task === undefined) return 'keys by the standard policy';
  const fits = rule.codeDigest === hex0x(task.codeDigest) && rule.imageDigest === hex0x(task.imageDigest);
  // An owner may have set another rule since: that is no lie of the report.
  return fits ? "keys only for the task's code and image" : 'its rule is another one by now';
}
