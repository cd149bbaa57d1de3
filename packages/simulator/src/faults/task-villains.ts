import { encodeCleanupCertificate, sealResult } from '@nemea/capsule';
import { CodedError, fromHex, fromUtf8, hashDomain, sha256 } from '@nemea/core';
import {
  encodeOperation,
  encodeSignedOperation,
  type OperationBody,
  operationDigest,
  parseSignedOperation,
} from '@nemea/membership';
import type { OwnerPorts } from '@nemea/node/owner';
import type { CapsuleStore, Device, NodePorts, Protocol, Sandbox } from '@nemea/node/ports';
import { PROTOCOLS, phaseResultCodec, resultNoticeCodec, signedPhaseResultCodec } from '@nemea/node/protocol';
import { networkIdOf } from '@nemea/sdk';
import type { World } from '../world/world.ts';
import { withOverlay } from './overlay.ts';
import type { TaskVillain } from './plan.ts';

/** A member that breaks the rules where tasks are run: the production node on ports that twist what it does or says. */
export function asTaskVillain(
  world: World,
  villain: TaskVillain,
  ports: NodePorts,
  did: () => void,
): NodePorts {
  switch (villain) {
    case 'stalling':
      return withSandbox(ports, () => {
        did();
        return new Promise(() => undefined);
      });
    case 'boasting':
      return boasting(world, ports, did);
    case 'smuggling':
      return { ...ports, openStore: async (...args) => smuggling(await ports.openStore(...args), did) };
    case 'withholding-verifier':
      return withVerifier(ports, async () => {
        did();
        return new Promise(() => undefined);
      });
    case 'careless-verifier':
      return careless(world, ports, did);
  }
}

/** An owner whose key agent gives no key to anybody, and says that its policy forbids it. */
export function refusing(ports: OwnerPorts, did: () => void): OwnerPorts {
  return {
    ...ports,
    openDevice: async () => {
      const device = await ports.openDevice();
      const unseal = (): Promise<Uint8Array> => {
        did();
        return Promise.reject(new RefusalOfOwner('OWNER_REFUSES', 'this owner gives no key'));
      };
      return { ...device, tpm: { ...device.tpm, unseal } };
    },
  };
}

class RefusalOfOwner extends CodedError<'OWNER_REFUSES'> {}
class Breakdown extends CodedError<'SANDBOX_BROKEN'> {}

function withSandbox(ports: NodePorts, open: Sandbox['open']): NodePorts {
  const { sandbox } = ports;
  if (sandbox === undefined) return ports;
  return {
    ...ports,
    sandbox: {
      loadImage: (file, digest) => sandbox.loadImage(file, digest),
      snapshot: () => sandbox.snapshot(),
      open,
      close: () => sandbox.close(),
    },
  };
}

/** Changes how a verifier answers an executor that tells of a phase. */
function withVerifier(
  ports: NodePorts,
  change: (
    honest: Protocol['handle'],
    ...asked: Parameters<Protocol['handle']>
  ) => ReturnType<Protocol['handle']>,
): NodePorts {
  return {
    ...ports,
    openOverlay: (options) => {
      const phase = options.protocols[PROTOCOLS.phase];
      if (phase === undefined) return ports.openOverlay(options);
      const handle: Protocol['handle'] = (...asked) => change(phase.handle, ...asked);
      const protocols = { ...options.protocols, [PROTOCOLS.phase]: { ...phase, handle } };
      return ports.openOverlay({ ...options, protocols });
    },
  };
}

/** Cannot run anything, and says that it ran, with a certificate that it makes up. */
function boasting(world: World, ports: NodePorts, did: () => void): NodePorts {
  const broken = withSandbox(ports, () => Promise.reject(new Breakdown('SANDBOX_BROKEN', 'no run starts')));
  return rewriting(world, broken, (body, account) => {
    if (body.kind !== 'abandon') return undefined;
    did();
    const { taskId, attempt } = body;
    const digest = sha256(taskId);
    const quote = { attest: digest, signature: digest };
    const certificate = encodeCleanupCertificate({
      version: 1,
      taskId,
      attempt,
      executor: fromHex(account),
      codeDigest: digest,
      imageDigest: digest,
      outcome: { kind: 'completed' },
      results: [],
      snapshotBefore: digest,
      snapshotAfter: digest,
      quoteBefore: quote,
      quoteAfter: quote,
      startedAtMs: 0,
      finishedAtMs: 0,
    });
    return { kind: 'complete', taskId, attempt, certificate };
  });
}

/** Brings every receiver another result before the one that it ran for. */
function smuggling(store: CapsuleStore, did: () => void): CapsuleStore {
  async function smuggle(address: string, message: Uint8Array): Promise<void> {
    const notice = resultNoticeCodec.parse(message);
    if (notice.certificate !== null) return;
    did();
    const { taskId, receiver } = notice;
    const { capsule } = sealResult({
      receivers: [receiver],
      plaintext: fromUtf8('whatever the executor likes'),
      taskId,
      index: 0,
      owner: new Uint8Array(20),
      random: (byteLength) => sha256(taskId).slice(0, byteLength),
    });
    const cid = await store.put(capsule);
    const other = resultNoticeCodec.encode({ ...notice, cid, capsuleDigest: sha256(capsule) });
    await store.request(address, PROTOCOLS.result, other, { timeoutMs: 2_000 });
  }
  return {
    peerId: store.peerId,
    addresses: store.addresses,
    put: (bytes) => store.put(bytes),
    get: (cid, options) => store.get(cid, options),
    delete: (cid) => store.delete(cid),
    close: () => store.close(),
    request: async (address, protocol, message, options) => {
      // Whether it is taken or not: the right one follows.
      if (protocol === PROTOCOLS.result) await smuggle(address, message).catch(() => undefined);
      return store.request(address, protocol, message, options);
    },
  };
}

/** Vouches for every executor, whatever it has seen. */
function careless(world: World, ports: NodePorts, did: () => void): NodePorts {
  const networkId = networkIdIn(world);
  let sign: Device['sign'] | undefined;
  const vouching = withVerifier(ports, async (honest, ...asked) => {
    const answer = await honest(...asked);
    if (answer === undefined || sign === undefined) return answer;
    did();
    const seen = phaseResultCodec.parse(signedPhaseResultCodec.parse(answer).result);
    const result = phaseResultCodec.encode({ ...seen, verdict: 'affirming' });
    const signature = sign(hashDomain('nemea/phase-result/1', networkId, result));
    return signedPhaseResultCodec.encode({ result, signature });
  });
  const reporting = rewriting(world, vouching, (body) => {
    if (body.kind !== 'verify') return undefined;
    return { ...body, phases: body.phases.map((phase) => ({ ...phase, verdict: 'affirming' as const })) };
  });
  return {
    ...reporting,
    openDevice: async () => {
      const device = await reporting.openDevice();
      sign = device.sign;
      return device;
    },
  };
}

/** Puts other operations into the order than the node says; `change` gives undefined for those that it leaves. */
function rewriting(
  world: World,
  ports: NodePorts,
  change: (body: OperationBody, account: string) => OperationBody | undefined,
): NodePorts {
  const networkId = networkIdIn(world);
  let device: Device | undefined;
  const rewrite = (message: Uint8Array): Uint8Array => {
    const { operation } = parseSignedOperation(message);
    const body = device === undefined ? undefined : change(operation.body, device.account);
    if (device === undefined || body === undefined || operation.author !== device.account) return message;
    const bytes = encodeOperation({ ...operation, body });
    return encodeSignedOperation(bytes, device.sign(operationDigest(networkId, bytes)));
  };
  return {
    ...withOverlay(ports, (overlay) => ({
      request: overlay.request,
      send: (peer, protocol, message) =>
        overlay.send(peer, protocol, protocol === PROTOCOLS.request ? rewrite(message) : message),
    })),
    openDevice: async () => {
      device = await ports.openDevice();
      return device;
    },
  };
}

function networkIdIn({ chain }: World): Uint8Array {
  const { network } = chain.state;
  return networkIdOf(network.chainId, network.contracts.nodeRegistry);
}
