import { ByteReader, ByteWriter, bytesEqual, u32At } from '@nemea/core';
import { listCommands } from '../capability.ts';
import type { TpmChannel, TransmitOptions } from '../channel/channel.ts';
import { type Command, type Response, returnCodeOf } from '../command.ts';
import { GetCapability } from '../commands/capability.ts';
import { ContextLoad, ContextSave, FlushContext } from '../commands/context.ts';
import { Startup } from '../commands/startup.ts';
import { TpmError } from '../errors.ts';
import { openExecutor, type TpmIo } from '../executor.ts';
import { flush } from '../object.ts';
import { TurnQueue } from '../queue.ts';
import { parseWhole, readSized, STRUCTURE_BYTES_MAX } from '../structures/buffer.ts';
import { baseReturnCode, RC } from '../structures/return-code.ts';
import {
  attributesByCode,
  type CommandAttributes,
  type CommandLayout,
  HANDLES_OFFSET,
  layoutOf,
} from './command-layout.ts';
import { type Recipe, recipeOf } from './recipe.ts';

/** An object by the handle its user knows. */
interface ManagedObject {
  /** The TPM's own handle while the object is in one of its slots. */
  loaded: number | undefined;
  /** The saved context, as long as it is the object's present state. */
  context: Uint8Array | undefined;
  /** How to make it again: not until its TPM was lost. */
  readonly recipe: Recipe | undefined;
  usedAt: number;
}

/** A session keeps its handle while it is swapped out; its context can be loaded once. */
interface ManagedSession {
  context: Uint8Array | undefined;
  usedAt: number;
}

const WAITING_MAX = 64;
const OBJECTS_MAX = 1024;
const HANDLE_FIRST = 0x80000000;
const HANDLES = 0x01000000;
const CAP_HANDLES = 1;
const CONTEXT_LOAD = { name: ContextLoad.name, code: ContextLoad.code, returnsHandle: true } as const;
// The TPM refuses to save a session when another one was saved too many saves ago (TPM 2.0 Part 1, 30.5); the smallest
// limit seen is 255.
const SAVES_APART_MAX = 128n;
// TPMS_CONTEXT: sequence u64, then the saved handle: this one for a sequence object, whose state changes with use.
const SAVED_HANDLE_OFFSET = 8;
const SEQUENCE_OBJECT = 0x80000001;
// What TPM2_FlushContext answers to a handle that holds nothing: its first parameter is wrong.
const FLUSH_UNKNOWN = RC.handle | 0x140;

/** Gives handles that were never given before, so that a stale one never means another object. */
export type HandleSource = () => number;

export function handleSource(): HandleSource {
  let count = 0;
  return () => HANDLE_FIRST + (count++ % HANDLES);
}

/**
 * Virtual objects and sessions on a TPM with few slots, as a TCG resource manager gives them: when a slot is missing, the
 * one used longest ago is saved to memory and loaded again when it is needed. It is a channel itself. Handles of objects
 * are its own; everything else passes unchanged, because authorisations cover names and not handles (TPM 2.0 Part 1, 16).
 * It must be the only client that uses these slots. Primary keys outlive the connection: they are made again.
 */
export class ResourceManager implements TpmChannel {
  readonly #channel: TpmChannel;
  readonly #io: TpmIo;
  readonly #commands: CommandAttributes;
  readonly #nextHandle: HandleSource;
  readonly #turns = new TurnQueue(WAITING_MAX);
  readonly #objects = new Map<number, ManagedObject>();
  readonly #sessions = new Map<number, ManagedSession>();
  /** Made since the transaction began. */
  #created = new Set<number>();
  /** Nobody's any more, but the TPM did not take the flush. */
  readonly #orphans = new Set<number>();
  #uses = 0;

  private constructor(channel: TpmChannel, commands: CommandAttributes, nextHandle: HandleSource) {
    this.#channel = channel;
    this.#io = openExecutor(channel);
    this.#commands = commands;
    this.#nextHandle = nextHandle;
  }

  /**
   * Asks the TPM for its commands. Of a `previous` connection it takes over the primary keys, under the handles they had:
   * each is made again when it is used. Throws as `TpmIo.send` does.
   */
  static async open(
    channel: TpmChannel,
    nextHandle: HandleSource = handleSource(),
    previous?: ResourceManager,
  ): Promise<ResourceManager> {
    const commands = attributesByCode(await listCommands(openExecutor(channel)));
    const manager = new ResourceManager(channel, commands, nextHandle);
    const kept = previous === undefined ? [] : previous.#objects;
    for (const [handle, { recipe }] of kept) {
      if (recipe !== undefined)
        manager.#objects.set(handle, { loaded: undefined, context: undefined, recipe, usedAt: 0 });
    }
    return manager;
  }

  get isOpen(): boolean {
    return this.#channel.isOpen;
  }

  close(): Promise<void> {
    return this.#channel.close();
  }

  transmit(command: Uint8Array, options?: TransmitOptions): Promise<Uint8Array> {
    return this.#turns.run(() => this.#exchange(command), options);
  }

  /**
   * Runs `work`, and if it fails flushes every object and session that it made, because nobody knows of them. One
   * transaction at a time.
   */
  async transaction<T>(work: () => Promise<T>): Promise<T> {
    if (this.#orphans.size > 0) await this.discard([...this.#orphans]);
    this.#created = new Set();
    try {
      return await work();
    } catch (error) {
      await this.discard([...this.#created]);
      throw error;
    }
  }

  /** Flushes handles nobody uses any more, now or before the next transaction. Throws nothing. */
  async discard(handles: readonly number[]): Promise<void> {
    const io = openExecutor(this);
    for (const handle of handles) {
      try {
        await flush(io, handle);
        this.#orphans.delete(handle);
      } catch (error) {
        // Gone already, or gone with the channel: there is nothing to flush. Otherwise it is tried again.
        if (!this.isOpen || baseReturnCode(returnCodeOf(error) ?? 0) === RC.handle) {
          this.#orphans.delete(handle);
          this.#forget(handle);
        } else this.#orphans.add(handle);
      }
    }
  }

  /** Spares a handle when the transaction that made it fails. */
  keep(handle: number | undefined): void {
    if (handle !== undefined) this.#created.delete(handle);
  }

  /** As `discard`, before the next transaction. */
  abandon(handle: number): void {
    this.#orphans.add(handle);
  }

  async #exchange(command: Uint8Array): Promise<Uint8Array> {
    const layout = layoutOf(command, this.#commands);
    if (layout === undefined) return await this.#channel.transmit(command);
    if (layout.code === FlushContext.code) return await this.#flush(command);
    const first = firstTransientAsked(layout, command);
    if (first !== undefined) return this.#listObjects(first, u32At(command, 18));
    const missing = layout.handles.findIndex((handle) => isObject(handle) && !this.#objects.has(handle));
    if (missing >= 0) return respond(RC.referenceH0 + missing);
    if (layout.returnsHandle && this.#objects.size >= OBJECTS_MAX) return respond(RC.objectHandles);
    const response = await this.#send(command, layout);
    if (returnCode(response) === RC.success) this.#note(layout, command, response);
    return response;
  }

  /** Brings in what the command names, and makes room as long as the TPM asks for it. */
  async #send(command: Uint8Array, layout: CommandLayout): Promise<Uint8Array> {
    const sessions = layout.sessions.map(({ handle }) => handle);
    const needed = new Set([...layout.handles, ...sessions]);
    for (const handle of needed) if (this.#isSwappedOut(handle)) await this.#load(handle, needed);
    const physical = this.#translate(command, layout);
    for (;;) {
      const response = await this.#channel.transmit(physical);
      if (!(await this.#makeRoom(returnCode(response), needed))) return response;
    }
  }

  /** Also counts as a use. */
  #isSwappedOut(handle: number): boolean {
    const entry = this.#objects.get(handle) ?? this.#sessions.get(handle);
    if (entry === undefined) return false;
    entry.usedAt = ++this.#uses;
    return 'loaded' in entry ? entry.loaded === undefined : entry.context !== undefined;
  }

  async #load(handle: number, needed: ReadonlySet<number>): Promise<void> {
    const object = this.#objects.get(handle);
    const entry = object ?? this.#sessions.get(handle);
    if (entry?.context !== undefined) {
      const { handle: loaded } = await this.#fit({ ...CONTEXT_LOAD, parameters: entry.context }, needed);
      if (object !== undefined) object.loaded = loaded;
      // The state of a session or a sequence changes with use.
      if (object === undefined || isSequence(entry.context)) entry.context = undefined;
    } else if (object?.recipe !== undefined) object.loaded = await this.#remake(object.recipe, needed);
  }

  /** The same key again. Throws `TPM_KEY_UNEXPECTED` if it is another: another TPM answers, or its seeds were changed. */
  async #remake({ command, outPublic }: Recipe, needed: ReadonlySet<number>): Promise<number> {
    const { handle, parameters } = await this.#fit(command, needed);
    if (bytesEqual(parameters.subarray(0, outPublic.length), outPublic)) return handle;
    await flush(this.#io, handle);
    throw new TpmError(
      'TPM_KEY_UNEXPECTED',
      'after a reconnect the tpm makes another primary key than before',
    );
  }

  /** A command of our own that takes a slot. */
  async #fit(command: Command, needed: ReadonlySet<number>): Promise<Response> {
    for (;;) {
      try {
        return await this.#io.send(command);
      } catch (error) {
        if (!(await this.#makeRoom(returnCodeOf(error), needed))) throw error;
      }
    }
  }

  /** The command with the TPM's own handles; a copy if they are others, because the command may be sent again. */
  #translate(command: Uint8Array, { handles }: CommandLayout): Uint8Array {
    let physical = command;
    for (const [index, handle] of handles.entries()) {
      const loaded = this.#objects.get(handle)?.loaded;
      if (loaded === undefined || loaded === handle) continue;
      if (physical === command) physical = command.slice();
      writeHandle(physical, HANDLES_OFFSET + 4 * index, loaded);
    }
    return physical;
  }

  /** Frees a slot of the kind the TPM lacks. False if it lacks none, or everything in it is needed. */
  async #makeRoom(code: number | undefined, needed: ReadonlySet<number>): Promise<boolean> {
    if (code === RC.objectMemory) return await this.#swapOutObject(needed);
    if (code === RC.sessionMemory) return await this.#swapOutSession(needed);
    if (code !== RC.memory) return false;
    return (await this.#swapOutObject(needed)) || (await this.#swapOutSession(needed));
  }

  async #swapOutObject(needed: ReadonlySet<number>): Promise<boolean> {
    const loaded = [...this.#objects].filter(([, { loaded }]) => loaded !== undefined);
    return await swapOutOne(loaded, needed, async (_, object) => {
      const handle = object.loaded as number;
      object.context ??= await this.#saveContext(handle);
      await flush(this.#io, handle);
      object.loaded = undefined;
    });
  }

  async #swapOutSession(needed: ReadonlySet<number>): Promise<boolean> {
    const loaded = [...this.#sessions].filter(([, { context }]) => context === undefined);
    return await swapOutOne(loaded, needed, async (handle, session) => {
      session.context = await this.#saveContext(handle);
      await this.#renewOldest(contextSequence(session.context));
    });
  }

  /** Saves the session that was saved longest ago once more, before the TPM can no longer tell how old it is. */
  async #renewOldest(newest: bigint): Promise<void> {
    for (const [handle, session] of this.#sessions) {
      if (session.context === undefined || newest - contextSequence(session.context) < SAVES_APART_MAX)
        continue;
      await this.#io.send({ ...CONTEXT_LOAD, parameters: session.context });
      session.context = undefined;
      session.context = await this.#saveContext(handle);
    }
  }

  async #saveContext(handle: number): Promise<Uint8Array> {
    const { parameters } = await this.#io.send({
      name: ContextSave.name,
      code: ContextSave.code,
      handles: [handle],
    });
    return parseWhole('context', parameters, (reader) => {
      // TPMS_CONTEXT: sequence, saved handle, hierarchy, blob.
      reader.bytes(SAVED_HANDLE_OFFSET + 4 + 4);
      readSized(reader, 'context blob', STRUCTURE_BYTES_MAX);
      return parameters;
    });
  }

  /** Keeps account of what a successful command made and ended, and puts our own handle into its response. */
  #note(layout: CommandLayout, command: Uint8Array, response: Uint8Array): void {
    if (layout.code === Startup.code) this.#unloadAll();
    if (layout.flushes) for (const handle of layout.handles) this.#forget(handle);
    for (const { handle, continues } of layout.sessions) if (!continues) this.#forget(handle);
    // A session whose user saves it is out of our hands until it is loaded again.
    if (layout.code === ContextSave.code) for (const handle of layout.handles) this.#sessions.delete(handle);
    if (layout.returnsHandle) this.#adopt(response, recipeOf(layout, command, response));
  }

  #adopt(response: Uint8Array, recipe: Recipe | undefined): void {
    // Too short for the handle that it claims: the executor refuses it, and nothing can be known of what was made.
    if (response.length < HANDLES_OFFSET + 4) return;
    const given = u32At(response, HANDLES_OFFSET);
    if (isSession(given)) {
      this.#sessions.set(given, { context: undefined, usedAt: ++this.#uses });
      this.#created.add(given);
    } else if (isObject(given)) {
      // TPM2_Clear and its kin flush objects without naming them: a slot that is given again was empty.
      for (const [handle, { loaded }] of this.#objects) if (loaded === given) this.#forget(handle);
      const handle = this.#unusedHandle();
      this.#objects.set(handle, { loaded: given, context: undefined, recipe, usedAt: ++this.#uses });
      this.#created.add(handle);
      writeHandle(response, HANDLES_OFFSET, handle);
    }
  }

  #unusedHandle(): number {
    let handle = this.#nextHandle();
    while (this.#objects.has(handle)) handle = this.#nextHandle();
    return handle;
  }

  #forget(handle: number): void {
    this.#objects.delete(handle);
    this.#sessions.delete(handle);
    this.#created.delete(handle);
  }

  /** The TPM starts with nothing in its slots, and takes no context of before. */
  #unloadAll(): void {
    for (const handle of this.#sessions.keys()) this.#forget(handle);
    for (const [handle, object] of this.#objects) {
      object.loaded = undefined;
      object.context = undefined;
      if (object.recipe === undefined) this.#forget(handle);
    }
  }

  /** TPM2_FlushContext names its handle in the parameters. */
  async #flush(command: Uint8Array): Promise<Uint8Array> {
    if (command.length !== HANDLES_OFFSET + 4) return await this.#channel.transmit(command);
    const handle = u32At(command, HANDLES_OFFSET);
    const object = this.#objects.get(handle);
    if (isObject(handle) && object === undefined) return respond(FLUSH_UNKNOWN);
    const physical = command.slice();
    if (object?.loaded !== undefined) writeHandle(physical, HANDLES_OFFSET, object.loaded);
    const isSwappedOut = object !== undefined && object.loaded === undefined;
    const response = isSwappedOut ? respond(RC.success) : await this.#channel.transmit(physical);
    if (returnCode(response) === RC.success) this.#forget(handle);
    return response;
  }

  /** TPM2_GetCapability(TPM_CAP_HANDLES) of objects, as their users know them. */
  #listObjects(first: number, countMax: number): Uint8Array {
    const all = [...this.#objects.keys()].filter((handle) => handle >= first).sort((a, b) => a - b);
    const listed = all.slice(0, Math.min(countMax, 254));
    const body = new ByteWriter()
      .u8(listed.length < all.length ? 1 : 0)
      .u32(CAP_HANDLES)
      .u32(listed.length);
    for (const handle of listed) body.u32(handle);
    return respond(RC.success, body.toBytes());
  }
}

/** Swaps out the entry used longest ago that the TPM can save. Throws `TPM_CHANNEL_*` only. */
async function swapOutOne<T extends { readonly usedAt: number }>(
  loaded: readonly (readonly [number, T])[],
  needed: ReadonlySet<number>,
  swapOut: (handle: number, entry: T) => Promise<void>,
): Promise<boolean> {
  const candidates = loaded.filter(([handle]) => !needed.has(handle));
  for (const [handle, entry] of candidates.sort(([, a], [, b]) => a.usedAt - b.usedAt)) {
    try {
      await swapOut(handle, entry);
      return true;
    } catch (error) {
      // This one cannot be saved; the next may.
      if (!(error instanceof TpmError) || returnCodeOf(error) === undefined) throw error;
    }
  }
  return false;
}

/** The first handle of a plain question for the objects in use. With sessions the TPM's own answer is authenticated. */
function firstTransientAsked({ code, sessions }: CommandLayout, command: Uint8Array): number | undefined {
  if (code !== GetCapability.code || sessions.length > 0 || command.length !== 22) return undefined;
  const property = u32At(command, 14);
  return u32At(command, 10) === CAP_HANDLES && isObject(property) ? property : undefined;
}

function contextSequence(context: Uint8Array): bigint {
  return new ByteReader(context).u64();
}

function isSequence(context: Uint8Array): boolean {
  return u32At(context, SAVED_HANDLE_OFFSET) === SEQUENCE_OBJECT;
}

function isObject(handle: number): boolean {
  return handle >>> 24 === 0x80;
}

/** An HMAC or a policy session. */
function isSession(handle: number): boolean {
  const type = handle >>> 24;
  return type === 0x02 || type === 0x03;
}

function returnCode(response: Uint8Array): number {
  return u32At(response, 6);
}

function writeHandle(bytes: Uint8Array, offset: number, handle: number): void {
  bytes.set([handle >>> 24, handle >>> 16, handle >>> 8, handle], offset);
}

/** A response in the TPM's stead. */
function respond(code: number, parameters: Uint8Array = new Uint8Array(0)): Uint8Array {
  return new ByteWriter()
    .u16(0x8001)
    .u32(10 + parameters.length)
    .u32(code)
    .bytes(parameters)
    .toBytes();
}
