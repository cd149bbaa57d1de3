import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TpmChannel } from './channel/channel.ts';
import { FlushContext } from './commands/context.ts';
import { TpmError } from './errors.ts';
import { openExecutor, type TpmIo } from './executor.ts';
import { flushLeftovers, startup } from './lifecycle.ts';
import { type Caller, TurnQueue, type TurnTerms } from './queue.ts';
import { type HandleSource, handleSource, ResourceManager } from './resources/resource-manager.ts';
import { type EncryptionOptions, Protection } from './sessions/protection.ts';

/** A channel, or how to open one: only what can be opened can be opened again. */
export type TpmSource = TpmChannel | (() => Promise<TpmChannel>);

/** How `Tpm.open` treats what it finds, and how long it waits. */
export interface TpmOpenOptions {
  /**
   * Flush objects and sessions that an earlier client left behind. Default: unless the channel is one to a resource manager
   * such as /dev/tpmrm0, which does it by itself and where sessions of other programs would be hit.
   */
  readonly flushLeftovers?: boolean;
  /** Limit for the first response: a software TPM that serves another client answers nothing at all. */
  readonly timeoutMs?: number;
  /** How often a lost TPM is tried in one call before that call fails, each pause twice the one before. */
  readonly reconnectsMax?: number;
  /** How secrets are hidden on the wire; `false` sends them, and passwords, in the clear. */
  readonly encryption?: EncryptionOptions | false;
}

/** What the connection keeps when its channel is gone. */
interface Lasting {
  readonly nextHandle: HandleSource;
  readonly protection: Protection | undefined;
}

/** What one open channel carries. A reconnect makes all of it anew. */
interface Link {
  readonly channel: TpmChannel;
  readonly resources: ResourceManager;
  readonly io: TpmIo;
}

const FIRST_RESPONSE_MS = 10_000;
const CALLS_WAITING_MAX = 256;
const RECONNECTS_MAX = 7;
const PAUSE_MS = 20;
const FAREWELL_MS = 500;

/**
 * The way to one TPM, for many callers. A call has the TPM for itself, and what it made is flushed when it fails. When
 * the channel dies under a call, that call fails: no command is ever sent twice for it, since nobody knows whether the
 * first was executed. The next call opens the channel again, starts the TPM if need be, and flushes what is left in it.
 * Primary keys from before are made again when they are used; other objects and all sessions are gone, and their handles
 * mean nothing any more, not even something else.
 */
export class Connection {
  readonly #source: TpmSource;
  readonly #options: TpmOpenOptions;
  readonly #turns = new TurnQueue(CALLS_WAITING_MAX);
  readonly #lasting: Lasting;
  /** The call that the running code belongs to. */
  readonly #call = new AsyncLocalStorage<{ hasTpm: boolean }>();
  #link: Link;
  #isClosed = false;

  private constructor(source: TpmSource, options: TpmOpenOptions, link: Link, lasting: Lasting) {
    this.#source = source;
    this.#options = options;
    this.#link = link;
    this.#lasting = lasting;
  }

  /** Tries once. Owns the channel from here on, and closes it on failure. */
  static async open(source: TpmSource, options: TpmOpenOptions): Promise<Connection> {
    const { encryption = {} } = options;
    const protection = encryption === false ? undefined : new Protection(encryption);
    const lasting = { nextHandle: handleSource(), protection };
    return new Connection(source, options, await openLink(source, options, lasting), lasting);
  }

  /** False once the channel is known to be dead, or was closed. */
  get isOpen(): boolean {
    return !this.#isClosed && this.#link.channel.isOpen;
  }

  /**
   * Runs several commands as one call. Throws what `work` throws, as `TurnQueue.run` does, and `TPM_CALL_NESTED` inside
   * another call, which would wait for itself.
   */
  async exclusive<T>(work: (io: TpmIo) => Promise<T>, terms?: TurnTerms): Promise<T> {
    if (this.#isInside())
      throw new TpmError('TPM_CALL_NESTED', 'a call within a call: use the io it was given');
    return await this.#turns.run(async (caller) => {
      const { io, resources } = this.#link.channel.isOpen ? this.#link : await this.#connected();
      return await resources.transaction(async () => {
        const call = { hasTpm: true };
        try {
          const value = await this.#call.run(call, work, terms === undefined ? io : whileWanted(io, caller));
          // Nobody will get the value: what was made for it must go.
          if (caller.gone !== undefined) throw caller.gone;
          return value;
        } finally {
          call.hasTpm = false;
          // The session that hides secrets is every call's.
          resources.keep(this.#lasting.protection?.handle);
        }
      });
    }, terms);
  }

  /** Flushes a handle its owner no longer needs, at the latest before the next call. Throws nothing. */
  async release(handle: number): Promise<void> {
    const { resources } = this.#link;
    if (this.#isInside()) return resources.abandon(handle);
    try {
      await this.#turns.run(() => resources.discard([handle]));
    } catch {
      // The queue is full: a later call flushes it.
      resources.abandon(handle);
    }
  }

  #isInside(): boolean {
    return this.#call.getStore()?.hasTpm === true;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const { channel, resources } = this.#link;
    const session = this.#lasting.protection?.forget();
    try {
      if (session !== undefined && channel.isOpen) {
        await this.#turns.run(() => resources.discard([session]), { timeoutMs: FAREWELL_MS });
      }
    } catch {
      // The TPM is busy or stuck: the session stays in it until the next `open`.
    } finally {
      await channel.close();
    }
  }

  async #connected(): Promise<Link> {
    if (this.#isClosed || typeof this.#source !== 'function') return this.#link;
    await this.#link.channel.close();
    this.#link = await this.#reconnect();
    // Closed meanwhile: the new channel is nobody's.
    if (this.#isClosed) await this.#link.channel.close();
    return this.#link;
  }

  async #reconnect(): Promise<Link> {
    const { reconnectsMax = RECONNECTS_MAX } = this.#options;
    let last: unknown;
    for (let attempt = 0; attempt < reconnectsMax && !this.#isClosed; attempt++) {
      if (attempt > 0) await sleep(PAUSE_MS * 2 ** (attempt - 1));
      try {
        return await openLink(this.#source, this.#options, this.#lasting, this.#link.resources);
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        last = error;
      }
    }
    throw new TpmError('TPM_CHANNEL_FAILED', `the tpm is gone: tried ${reconnectsMax} times`, {
      cause: last,
    });
  }
}

async function openLink(
  source: TpmSource,
  options: TpmOpenOptions,
  lasting: Lasting,
  previous?: ResourceManager,
): Promise<Link> {
  lasting.protection?.forget();
  const channel = typeof source === 'function' ? await source() : source;
  try {
    const bare = openExecutor(channel);
    await startup(bare, options.timeoutMs ?? FIRST_RESPONSE_MS);
    if (options.flushLeftovers ?? channel.isManaged !== true) await flushLeftovers(bare);
    const resources = await ResourceManager.open(channel, lasting.nextHandle, previous);
    return { channel, resources, io: openExecutor(resources, lasting.protection) };
  } catch (error) {
    await channel.close();
    throw error;
  }
}

/** Worth another try: nobody there yet, or gone again. A TPM that answers wrongly or not at all is neither. */
function isUnreachable(error: unknown): boolean {
  return error instanceof TpmError && ['TPM_CHANNEL_FAILED', 'TPM_CHANNEL_CLOSED'].includes(error.code);
}

/** Sends nothing more for a caller who is gone, but lets the work flush what it holds. */
function whileWanted(io: TpmIo, caller: Caller): TpmIo {
  return {
    link: io.link,
    async send(command, options) {
      if (caller.gone !== undefined && command.code !== FlushContext.code) throw caller.gone;
      return await io.send(command, options);
    },
  };
}
