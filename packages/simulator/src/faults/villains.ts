import { signStatement } from '@nemea/consensus';
import { sha256 } from '@nemea/core';
import {
  encodeOperation,
  encodeSignedOperation,
  type Operation,
  type OperationBody,
  operationDigest,
  parseSignedOperation,
} from '@nemea/membership';
import type { Device, NodePorts, Overlay } from '@nemea/node/ports';
import { admissionResponseCodec, answerCodec, challengeCodec, PROTOCOLS } from '@nemea/node/protocol';
import { LedgerError, networkIdOf } from '@nemea/sdk';
import type { Host } from '../world/host.ts';
import type { World } from '../world/world.ts';
import type { Counts } from './counts.ts';
import { asImpostor } from './impostors.ts';
import { type Speech, withOverlay } from './overlay.ts';
import type { Villain } from './plan.ts';
import { asTaskVillain } from './task-villains.ts';

const REPLAYED_MAX = 64;

/** A member that breaks rules: the production node on ports that twist what it says, shows or remembers. */
export function disguise(
  world: World,
  villains: readonly Villain[],
  counts: Counts,
  ports: NodePorts,
): NodePorts {
  return villains.reduce((twisted, villain) => twist(world, villain, counts, twisted), ports);
}

function twist(world: World, villain: Villain, counts: Counts, ports: NodePorts): NodePorts {
  const did = (): void => counts.add(villain);
  switch (villain) {
    case 'silent':
      return withOverlay(withoutSubmissions(ports), (overlay) => ({
        send: () => did(),
        request: overlay.request,
      }));
    case 'vote-withholding':
      return withOverlay(withoutSubmissions(ports), (overlay) => ({
        request: overlay.request,
        send: (peer, protocol, message) => {
          if (protocol === PROTOCOLS.vote) did();
          else overlay.send(peer, protocol, message);
        },
      }));
    case 'replaying':
      return withOverlay(ports, (overlay) => replaying(world, overlay, did));
    case 'spamming':
      return withOverlay(ports, (overlay) => spamming(world, overlay, did));
    case 'lying-attestor':
      return lying(world, ports, did);
    case 'false-vrf':
      return withDevice(ports, (device) => ({
        vrfProve: (alpha) => {
          did();
          return device.identity.vrfProve(sha256(alpha));
        },
      }));
    case 'stale-evidence':
      return withDevice(ports, staleQuotes(did));
    case 'tampered':
      return {
        ...ports,
        openDevice: async () => {
          const device = await ports.openDevice();
          did();
          await device.measured.measure({
            kind: 'release',
            digest: sha256(device.peerKey),
            name: 'tampered',
          });
          return device;
        },
      };
    case 'stalling':
    case 'boasting':
    case 'smuggling':
    case 'careless-verifier':
    case 'withholding-verifier':
      return asTaskVillain(world, villain, ports, did);
    case 'self-endorsed':
    case 'borrowed-endorsement':
      return asImpostor(ports, villain, did);
    case 'fleeing':
      return fleeing(world, ports, did);
    // These are what happens to the machine, not what the process does.
    case 'amnesiac':
    case 'lost-tail':
    case 'bit-rot':
    case 'tpm-roll-back':
    case 'equivocating':
      return ports;
  }
}

/** Takes no certificate to layer 1: what others have signed does not get there by this member. */
function withoutSubmissions(ports: NodePorts): NodePorts {
  const submitVote = (): Promise<never> =>
    Promise.reject(new LedgerError('LEDGER_UNREACHABLE', 'this member submits nothing'));
  return {
    ...ports,
    openLedger: async (accountKey) => ({ ...(await ports.openLedger(accountKey)), submitVote }),
  };
}

/** Takes its deposit back as soon as a judge has affirmed it: the certificate is still to come, and layer 1 to take it. */
function fleeing(world: World, ports: NodePorts, did: () => void): NodePorts {
  let account = '';
  return {
    ...ports,
    openLedger: async (accountKey) => {
      const ledger = await ports.openLedger(accountKey);
      ({ account } = ledger);
      return ledger;
    },
    openOutward: async (options) => {
      const outward = await ports.openOutward(options);
      return {
        ...outward,
        request: async (address, protocol, message, limits) => {
          const answer = await outward.request(address, protocol, message, limits);
          const response = admissionResponseCodec.parse(answer);
          if (response.kind === 'judged' && response.verdict !== 'contraindicated') {
            did();
            world.chain.send(account, { kind: 'withdraw' });
          }
          return answer;
        },
      };
    },
  };
}

function withDevice(ports: NodePorts, change: (device: Device) => Partial<Device['identity']>): NodePorts {
  return {
    ...ports,
    openDevice: async () => {
      const device = await ports.openDevice();
      return { ...device, identity: { ...device.identity, ...change(device) } };
    },
  };
}

/** Says again, at any time and to anybody, what it has said before. */
function replaying(world: World, overlay: Overlay, did: () => void): Speech {
  const random = world.kernel.random.fork(`replay ${overlay.peerId}`);
  const said: { protocol: string; message: Uint8Array }[] = [];
  return {
    request: overlay.request,
    send: (peer, protocol, message) => {
      overlay.send(peer, protocol, message);
      if (said.length < REPLAYED_MAX) said.push({ protocol, message });
      else said[random.integer(0, REPLAYED_MAX - 1)] = { protocol, message };
      if (!random.chance(0.3)) return;
      did();
      const old = random.pick(said);
      overlay.send(peer, old.protocol, old.message);
    },
  };
}

/** Sends nonsense on every protocol, small and large. */
function spamming(world: World, overlay: Overlay, did: () => void): Speech {
  const random = world.kernel.random.fork(`spam ${overlay.peerId}`);
  const protocols = [PROTOCOLS.consensus, PROTOCOLS.request, PROTOCOLS.vote];
  return {
    request: overlay.request,
    send: (peer, protocol, message) => {
      overlay.send(peer, protocol, message);
      did();
      const garbled = message.slice();
      const at = random.integer(0, garbled.length - 1);
      garbled[at] = (garbled[at] ?? 0) ^ (1 << random.integer(0, 7));
      overlay.send(peer, random.pick(protocols), garbled);
      overlay.send(peer, random.pick(protocols), random.bytes(random.integer(0, 200)));
    },
  };
}

/** Reports that those it attested are contraindicated, accuses them, and forges proofs that they contradicted themselves. */
function lying(world: World, ports: NodePorts, did: () => void): NodePorts {
  const { network } = world.chain.state;
  const networkId = networkIdOf(network.chainId, network.contracts.nodeRegistry);
  let sign: Device['sign'] | undefined;
  let anchor: Pick<Operation, 'author' | 'anchor'> | undefined;
  const contraindicate = (message: Uint8Array): Uint8Array => {
    const { operation } = parseSignedOperation(message);
    anchor = { author: operation.author, anchor: operation.anchor };
    if (operation.body.kind !== 'attest' || sign === undefined) return message;
    did();
    const attestations = operation.body.attestations.map((attestation) => ({
      ...attestation,
      verdict: 'contraindicated' as const,
    }));
    const body: OperationBody = { ...operation.body, attestations };
    const bytes = encodeOperation({ ...operation, body });
    return encodeSignedOperation(bytes, sign(operationDigest(networkId, bytes)));
  };
  const order = (overlay: Overlay, body: OperationBody): void => {
    if (sign === undefined || anchor === undefined) return;
    const bytes = encodeOperation({ ...anchor, body });
    const message = encodeSignedOperation(bytes, sign(operationDigest(networkId, bytes)));
    for (const peer of overlay.peers()) overlay.send(peer, PROTOCOLS.request, message);
  };
  /** Evidence that was good, as an accusation; and statements that the target never made. */
  const accuse = (overlay: Overlay, asked: Uint8Array, answered: Uint8Array): void => {
    const { epoch, target, proof, nonce, command } = challengeCodec.parse(asked);
    if (sign === undefined || command !== 'epoch') return;
    const { evidence, signature: answerSignature } = answerCodec.parse(answered);
    order(overlay, { kind: 'accuse', epoch, target, proof, nonce, evidence, answerSignature });
    order(overlay, forgedEquivocation(networkId, target, sign));
  };
  const twisted = withOverlay(ports, (overlay) => ({
    request: async (peer, protocol, message, timing) => {
      const answer = await overlay.request(peer, protocol, message, timing);
      if (protocol === PROTOCOLS.challenge) accuse(overlay, message, answer);
      return answer;
    },
    send: (peer, protocol, message) =>
      overlay.send(peer, protocol, protocol === PROTOCOLS.request ? contraindicate(message) : message),
  }));
  return {
    ...twisted,
    openDevice: async () => {
      const device = await ports.openDevice();
      sign = device.sign;
      return device;
    },
  };
}

/** Two commits in the name of another. */
function forgedEquivocation(networkId: Uint8Array, culprit: string, sign: Device['sign']): OperationBody {
  const commit = (byte: number) => {
    const place = { epoch: 1, view: 0, sequence: 1, digest: new Uint8Array(32).fill(byte) };
    const content = { kind: 'commit' as const, ...place };
    const { message } = signStatement({ networkId, sender: culprit, content, batch: [], sign });
    return { payload: message.payload, signature: message.signature };
  };
  return { kind: 'prove-equivocation', culprit, first: commit(1), second: commit(2) };
}

/** Shows the same quote to everybody, whatever they ask for. */
function staleQuotes(did: () => void): (device: Device) => Partial<Device['identity']> {
  return ({ identity }) => {
    let first: ReturnType<typeof identity.quote> | undefined;
    let asked = 0;
    return {
      quote: (request) => {
        // Honest until it is in: who shows stale evidence at the door never gets to show it inside.
        if (asked++ < 8) return identity.quote(request);
        did();
        first ??= identity.quote(request);
        return first;
      },
    };
  };
}

/** What befalls the machine of a villain, every second. */
export function befall(world: World, host: Host, villain: Villain, counts: Counts): void {
  const random = world.kernel.random.fork(`${villain} befalls ${host.name} ${world.kernel.nowMs}`);
  if (!random.chance(0.08)) return;
  switch (villain) {
    case 'amnesiac':
      counts.add(villain);
      host.crash();
      host.disk.wipe();
      world.kernel.note(host.name, 'forgets everything');
      world.kernel.after(500, () => host.start());
      return;
    case 'lost-tail':
      counts.add(villain);
      host.disk.loseTail();
      world.kernel.note(host.name, 'has a disk that no longer writes');
      world.kernel.after(random.integer(20, 2_000), () => {
        host.crash();
        world.kernel.after(500, () => host.start());
      });
      return;
    case 'bit-rot':
      counts.add(villain);
      host.disk.rot();
      host.crash();
      world.kernel.after(500, () => host.start());
      return;
    case 'tpm-roll-back':
      counts.add(villain);
      host.tpm.rollBack({ resetCount: 1, clockMs: Math.floor(world.kernel.nowMs / 2) });
      return;
    default:
      return;
  }
}
