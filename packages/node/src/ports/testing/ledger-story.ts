import { assert, sha256 } from '@nemea/core';
import type { NodeRecord, Vote } from '@nemea/membership';
import { type Ledger, LedgerError, type LedgerEvent, voteMessage } from '@nemea/sdk';

/** A layer 1 whose genesis accounts are those of the four ledgers; all but the last have made their deposits. */
export interface LedgerGround {
  readonly ledgers: readonly Ledger[];
  /** An account that is no member, and has more tokens than tasks cost here. */
  readonly stranger: Ledger;
  deposit(account: string): Promise<void>;
  /** The account that pays deposits. */
  readonly payer: string;
  /** Lets time pass until the work is done. */
  drive<T>(work: Promise<T>): Promise<T>;
}

export const digest = (text: string): Uint8Array => sha256(new TextEncoder().encode(text));

/** What the cases of a story about layer 1 have in common. */
export function storyOf(ground: () => LedgerGround) {
  const ledger = (index: number): Ledger => ground().ledgers[index] as Ledger;
  const drive = <T>(work: Promise<T>): Promise<T> => ground().drive(work);

  const recordOf = (index: number): NodeRecord => ({
    account: ledger(index).account,
    owner: ledger(index).account,
    peerKey: digest(`peer ${index}`),
    ekId: digest(`ek ${index}`),
    akX: digest(`ak x ${index}`),
    akY: digest(`ak y ${index}`),
    vrfX: digest(`vrf x ${index}`),
    vrfY: digest(`vrf y ${index}`),
    level: 1,
    endpoint: '/ip4/127.0.0.1/tcp/1 /ip4/127.0.0.1/tcp/2',
  });

  /** The certificate of a vote: signatures by these ledgers, by rising account. */
  async function certificate(vote: Vote, signers: readonly Ledger[]): Promise<string[]> {
    const rising = [...signers].sort((a, b) => (a.account < b.account ? -1 : 1));
    return Promise.all(rising.map((signer) => signer.signVote(vote)));
  }

  async function submit(vote: Vote, signers: readonly Ledger[] = ground().ledgers): Promise<string> {
    return outcomeOf(ledger(0).submitVote(vote, await certificate(vote, signers)));
  }

  /** `OK`, or the name of the contract's error. */
  async function outcomeOf(work: Promise<unknown>): Promise<string> {
    try {
      await drive(work);
      return 'OK';
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      assert(error.code === 'LEDGER_REVERTED', `code: got ${error.code}`);
      return String(error.data.error);
    }
  }

  /** What layer 1 would say of an admission, whoever signed: `OK`, or the contract's error with its values. */
  const verdictOn = async (vote: Vote): Promise<string> => {
    const reading = drive(ledger(0).read('nodeRegistry', 'requireAdmissible', [voteMessage(vote)]));
    try {
      assert((await reading) === undefined, 'a view without an answer');
      return 'OK';
    } catch (error) {
      if (!(error instanceof LedgerError) || error.code !== 'LEDGER_REVERTED') throw error;
      const { error: name, args } = error.data as { error: string; args: readonly string[] };
      return `${name}(${args.join()})`.replace(/0x[0-9a-f]+/gi, (hex) => hex.toLowerCase());
    }
  };

  const expectOutcome = (got: string, want: string): void => assert(got === want, `got ${got}, want ${want}`);

  /** The events of a kind that the ledger shows once it has read everything. */
  async function events<T extends LedgerEvent['type']>(
    type: T,
  ): Promise<Extract<LedgerEvent, { type: T }>[]> {
    await drive(syncAll(ledger(1)));
    return ledger(1).history.events.filter(
      (event): event is Extract<LedgerEvent, { type: T }> => event.type === type,
    );
  }

  return { ledger, drive, recordOf, certificate, submit, outcomeOf, verdictOn, expectOutcome, events };
}

export async function syncAll(ledger: Ledger): Promise<void> {
  while ((await ledger.sync()) > 0);
}
