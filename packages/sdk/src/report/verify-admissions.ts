import { toHex } from '@nemea/core';
import type { NodeRecord } from '@nemea/membership';
import { contractAbis } from '../client/ledger.ts';
import { examine, type Finding, type Lies } from './finding.ts';
import { hex0x, type Inquiry, minedTo } from './inquiry.ts';
import { peerIdText } from './peer-id.ts';
import type { Report } from './report.ts';
import { checkCertificate, decodeCall } from './vote-certificate.ts';

type Node = Report['nodes'][number];

/** Each node was admitted by a quorum, with these keys, and the report leaves none out. */
export async function verifyAdmissions(inquiry: Inquiry): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const node of inquiry.report.nodes) findings.push(...(await verifyAdmission(inquiry, node)));
  return [...findings, ...(await verifyNobodyMissing(inquiry))];
}

function verifyAdmission(inquiry: Inquiry, node: Node): Promise<Finding[]> {
  return examine(`admission of ${node.name}`, async (lies) => {
    const { history } = inquiry.ledger;
    const mined = await minedTo(inquiry, lies, 'nodeRegistry', node.admission.txHash);
    if (mined === undefined) return '';
    const call = decodeCall(contractAbis.nodeRegistry, mined);
    if (call?.functionName !== 'admit') {
      lies.add(`transaction ${node.admission.txHash} is no admission`);
      return '';
    }
    const [message, signatures] = call.args;
    const signed = await checkCertificate(inquiry, lies, { type: 'Admission', message, signatures, mined });
    lies.unlessEqual('account that was admitted', message.account.toLowerCase(), node.account);
    lies.unlessEqual('block', node.admission.block, mined.block);
    lies.unlessEqual('gas', node.admission.gasUsed, mined.gasUsed);
    lies.unless(
      node.isGenesis === history.isGenesis(node.account),
      `it is ${node.isGenesis ? 'no' : 'a'} genesis member`,
    );
    const record = history.recordAt(node.account, mined.block);
    if (!lies.unless(record !== undefined, `layer 1 shows no admission of ${node.account}`)) return '';
    checkRecord(lies, node, record as NodeRecord, message);
    return `${signed}; its keys stand in the registry`;
  });
}

function checkRecord(
  lies: Lies,
  node: Node,
  record: NodeRecord,
  message: {
    owner: string;
    peerKey: string;
    ekId: string;
    akX: string;
    akY: string;
    vrfX: string;
    vrfY: string;
    level: number;
  },
): void {
  for (const key of ['peerKey', 'ekId', 'akX', 'akY', 'vrfX', 'vrfY'] as const) {
    lies.unlessEqual(`${key} on layer 1`, hex0x(record[key]), message[key]);
  }
  lies.unlessEqual('owner on layer 1', record.owner, message.owner.toLowerCase());
  lies.unlessEqual('level', node.level, record.level);
  lies.unlessEqual('level that was voted', message.level, record.level);
  // A node that was down when the report was made has told no peer id.
  if (node.peerId !== '') lies.unlessEqual('peer id', node.peerId, peerIdText(record.peerKey));
}

function verifyNobodyMissing({ report, ledger }: Inquiry): Promise<Finding[]> {
  return examine('members', (lies) => {
    const accounts = report.nodes.map(({ account }) => account);
    const names = report.nodes.map(({ name }) => name);
    lies.unlessEqual('different accounts of nodes', new Set(accounts).size, accounts.length);
    lies.unlessEqual('different names of nodes', new Set(names).size, names.length);
    const blockLast = Math.max(...report.nodes.map(({ admission }) => admission.block));
    const keys = new Set<string>();
    for (const event of ledger.history.events) {
      if (event.type !== 'node-admitted' || event.block > blockLast) continue;
      keys.add(toHex(event.record.ekId));
      lies.unless(
        accounts.includes(event.record.account),
        `the report leaves out ${event.record.account}, admitted in block ${event.block}`,
      );
    }
    const genesis = report.nodes.filter(({ isGenesis }) => isGenesis).length;
    return `${accounts.length} nodes with ${keys.size} different TPMs, ${genesis} of them from genesis`;
  });
}
