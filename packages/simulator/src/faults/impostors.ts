import { fromHex } from '@nemea/core';
import type { NodePorts } from '@nemea/node/ports';
import { parsePublicArea, toSpki } from '@nemea/tpm/structures';
import { endorse } from '../twins/certificate.ts';
import { endorsementKey } from '../twins/endorsement.ts';
import { MAKER } from '../twins/tpm.ts';

const GUESS = fromHex('00'.repeat(32));

/** A stranger whose TPM is software of its own: it has no papers from a maker that layer 1 approves, or another's. */
export function asImpostor(
  ports: NodePorts,
  kind: 'self-endorsed' | 'borrowed-endorsement',
  did: () => void,
): NodePorts {
  return {
    ...ports,
    openDevice: async () => {
      const device = await ports.openDevice();
      const { identity } = device;
      did();
      if (kind === 'self-endorsed') {
        return {
          ...device,
          ekChain: endorse(toSpki(parsePublicArea(identity.ekPublic)), 'nobody knows this maker'),
        };
      }
      // Papers are public: whoever has seen those of a good TPM can show them, and only that TPM can activate for them.
      const other = endorsementKey(`seen by ${device.account}`, MAKER);
      return {
        ...device,
        ekChain: other.chain,
        identity: { ...identity, ekPublic: other.publicArea, activateCredential: async () => GUESS },
      };
    },
  };
}
