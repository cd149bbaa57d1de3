import { errorCode } from '@nemea/core';
import {
  CONFIDENCE_NEW,
  type Member,
  type MembershipState,
  type NodeRecord,
  type Roster,
} from '@nemea/membership';
import type { Ledger } from '@nemea/sdk';
import type { Logger } from 'pino';
import type { Door } from '../admission/candidate.ts';
import type { Overlay } from '../ports/transport.ts';
import { type Endpoint, parseEndpoint } from '../protocol.ts';
import { toPeerAddress } from './peer-address.ts';
import { peerIdOf } from './peer-id.ts';

/** Who is a member, and where: by layer 1 and by consensus, without those that consensus has just evicted. */
export class Members {
  readonly #ledger: Ledger;
  readonly #logger: Logger;
  readonly #state: () => MembershipState | undefined;
  readonly #evicted = new Set<string>();

  /** `state` is undefined until this node has consensus. */
  constructor(ledger: Ledger, logger: Logger, state: () => MembershipState | undefined) {
    this.#ledger = ledger;
    this.#logger = logger;
    this.#state = state;
  }

  all(): Member[] {
    const members = new Map<string, Member>();
    const { history } = this.#ledger;
    const weights = history.weights();
    for (const event of history.events) {
      if (event.type === 'node-admitted' && weights.has(event.record.account)) {
        members.set(event.record.account, {
          ...event.record,
          credit: event.credit,
          admittedEpoch: 0,
          confidence: CONFIDENCE_NEW,
        });
      }
    }
    for (const [account, member] of this.#state()?.roster ?? []) members.set(account, member);
    for (const account of this.#evicted) members.delete(account);
    return [...members.values()];
  }

  others(): Member[] {
    return this.all().filter((member) => member.account !== this.#ledger.account);
  }

  byPeer(peer: string): Member | undefined {
    return this.all().find((member) => peerIdOf(member.peerKey) === peer);
  }

  /** The peer key of whoever is or was a member. */
  publicKeyOf(account: string): Uint8Array | undefined {
    const current = this.#state()?.roster.get(account)?.peerKey;
    if (current !== undefined) return current;
    const event = this.#ledger.history.events.findLast(
      (candidate) => candidate.type === 'node-admitted' && candidate.record.account === account,
    );
    return event?.type === 'node-admitted' ? event.record.peerKey : undefined;
  }

  /** Where candidates may knock. */
  doors(): Door[] {
    return this.all().flatMap((member) => {
      const endpoint = this.#endpointOf(member);
      if (endpoint === undefined) return [];
      const address = `${endpoint.reception}/p2p/${peerIdOf(member.peerKey)}`;
      return [{ account: member.account, address }];
    });
  }

  /** Tells the overlay whom to reach. */
  reach(overlay: Overlay): void {
    overlay.setMembers(
      this.others().flatMap((member) => {
        const endpoint = this.#endpointOf(member);
        return endpoint === undefined ? [] : [{ peer: peerIdOf(member.peerKey), address: endpoint.overlay }];
      }),
    );
  }

  /** Everybody drops an evicted member at once; layer 1 follows by certificate. */
  async evict(overlay: Overlay, account: string, peerKey: Uint8Array): Promise<void> {
    this.#evicted.add(account);
    const cut = overlay.evict(peerIdOf(peerKey));
    this.reach(overlay);
    await cut;
  }

  /** Whoever is on a roster has come back, also where its enrolment was among the decisions that a snapshot stands for. */
  follow(overlay: Overlay, roster: Roster): void {
    for (const account of this.#evicted) {
      const member = roster.get(account);
      if (member !== undefined) this.readmit(overlay, member);
    }
    this.reach(overlay);
  }

  readmit(overlay: Overlay, record: NodeRecord): void {
    this.#evicted.delete(record.account);
    overlay.readmit(peerIdOf(record.peerKey));
    this.reach(overlay);
  }

  /** Where a member says it is. One that says nonsense is not reached, and troubles nobody else. */
  #endpointOf(member: Member): Endpoint | undefined {
    try {
      const endpoint = parseEndpoint(member.endpoint);
      toPeerAddress(peerIdOf(member.peerKey), endpoint.overlay);
      return endpoint;
    } catch (error) {
      this.#logger.debug({ account: member.account, code: errorCode(error) }, 'member has no address');
      return undefined;
    }
  }
}
