import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { assert, bytesEqual, errorCode } from '@nemea/core';
import { type Attestation, attestation, type QuoteRequest } from './attestation.ts';
import { listHandles } from './capability.ts';
import type { TpmChannel } from './channel/channel.ts';
import { openUnixChannel } from './channel/unix.ts';
import { type Authorization, HANDLE } from './command.ts';
import { Quote } from './commands/attestation.ts';
import { CreatePrimary } from './commands/object.ts';
import { run } from './commands/run.ts';
import { openExecutor, type TpmIo } from './executor.ts';
import type { TpmKey } from './object.ts';
import { withSession } from './sessions/session.ts';
import { parseAttest } from './structures/attest.ts';
import { toSelections } from './structures/pcr-selection.ts';
import { encodePublicArea, parsePublicArea } from './structures/public-area.ts';
import { toSpki } from './structures/public-key.ts';
import { parseSignature } from './structures/signature.ts';
import { TEMPLATES } from './structures/templates.ts';
import { startTestTpm, type TestTpm } from './testing.ts';
import { Tpm } from './tpm.ts';

/** What a client holds, in the TPM and in memory. */
interface Holdings {
  readonly objects: number;
  readonly sessions: number;
  readonly heapBytes: number;
}

export interface SoakReport {
  readonly quotes: number;
  readonly callers: number;
  readonly before: Holdings;
  readonly after: Holdings;
  /** Quotes of the slowest caller when the fastest was done. */
  readonly least: number;
}

const AK = { hierarchy: 'endorsement', template: TEMPLATES.ak } as const;
const EK = { hierarchy: 'endorsement', template: TEMPLATES.ek } as const;
const CALLERS = 32;
const PASSWORD = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

/** A key, and how one caller quotes by it. */
interface Quoter {
  readonly key: KeyObject;
  quote(tpm: Tpm, request: QuoteRequest): Promise<Attestation>;
}

/**
 * For tests: `quotes` quotes of one TPM, asked for by 32 callers at once, each in its own lane and with its own nonces,
 * each quote checked. A third of the callers use a key without a password; a third one with a password, which the session
 * that is every call's keeps off the wire; a third the same by a session of their own each time. Holdings are counted
 * after a few rounds and at the end.
 */
export async function soakQuotes(quotes: number): Promise<SoakReport> {
  const software = await startTestTpm();
  await software.tpm.close();
  const channel = await openUnixChannel(software.socketPath);
  const tpm = await Tpm.open(channel);
  try {
    const quoters = await openQuoters(tpm);
    let least = Number.POSITIVE_INFINITY;
    const quoteEach = async (each: number): Promise<void> => {
      const done = new Array<number>(CALLERS).fill(0);
      const callers = done.map(async (_, caller) => {
        const { key, quote } = quoters[caller % quoters.length] as Quoter;
        for (let i = 0; i < each; i++) {
          const qualifyingData = nonceOf(caller, i);
          const quoted = await quote(tpm.with({ lane: caller }), { qualifyingData, pcrs: [0, 7] });
          assertQuote(key, quoted, qualifyingData);
          done[caller] = i + 1;
          if (i + 1 === each) least = Math.min(least, ...done);
        }
      });
      await Promise.all(callers);
    };
    const each = Math.ceil(quotes / CALLERS);
    // So many that the code is compiled, and only what callers leave behind can grow.
    await quoteEach(Math.max(4, Math.ceil(each / 20)));
    const before = await holdingsOf(channel);
    least = Number.POSITIVE_INFINITY;
    await quoteEach(each);
    return { quotes: each * CALLERS, callers: CALLERS, before, after: await holdingsOf(channel), least };
  } finally {
    await tpm.close();
    await software.stop();
  }
}

async function openQuoters(tpm: Tpm): Promise<Quoter[]> {
  const plain = await tpm.createPrimary(AK);
  const { objectHandle, outPublic } = await tpm.run(CreatePrimary, {
    handles: { primaryHandle: HANDLE.endorsement },
    parameters: {
      inSensitive: { userAuth: PASSWORD, data: new Uint8Array(0) },
      inPublic: parsePublicArea(TEMPLATES.ak),
    },
  });
  const guarded = await tpm.readPublic(objectHandle);
  assert(bytesEqual(guarded.publicArea, encodePublicArea(outPublic)), 'the key is the one that was made');
  const quoteBy = async (io: TpmIo, request: QuoteRequest, auth: Authorization): Promise<Attestation> => {
    const { quoted, signature } = await run(io, Quote, {
      handles: { signHandle: guarded },
      parameters: { qualifyingData: request.qualifyingData, PCRselect: toSelections(request.pcrs) },
      auth: [auth],
    });
    return attestation(quoted, signature);
  };
  const key = publicKeyOf(guarded);
  return [
    { key: publicKeyOf(plain), quote: (tpm, request) => tpm.quote(plain, request) },
    { key, quote: (tpm, request) => tpm.exclusive((io) => quoteBy(io, request, { password: PASSWORD })) },
    {
      key,
      quote: (tpm, request) =>
        tpm.exclusive((io) =>
          withSession(io, {}, (session) => quoteBy(io, request, { session, auth: PASSWORD })),
        ),
    },
  ];
}

export interface KillReport {
  readonly kills: number;
  /** How many calls died, by the code their caller got. */
  readonly codes: Readonly<Record<string, number>>;
  /** Calls that waited behind a dying one and were answered by the TPM that came back. */
  readonly waited: number;
}

/**
 * For tests: kills the TPM's process `times` times while a command is on its way, in turns one that it works on (an RSA
 * key) and one that it has not begun. The caller must get an error, the calls behind it and the next one an answer.
 */
export async function killMidCommand(times: number): Promise<KillReport> {
  const software = await startTestTpm();
  await software.tpm.close();
  const tpm = await Tpm.open(() => openUnixChannel(software.socketPath), { reconnectsMax: 14 });
  const codes: Record<string, number> = {};
  let waited = 0;
  try {
    for (let i = 0; i < times; i++) {
      const code = await killOnce(software, tpm, i % 2 === 0 ? 'working' : 'stopped', async () => {
        const quote = quoteAnew(tpm, nonceOf(0, i));
        const random = tpm.getRandom(16);
        await software.kill();
        await software.restart();
        await quote;
        assert((await random).length === 16, 'a waiting call is answered');
        waited += 2;
      });
      codes[code] = (codes[code] ?? 0) + 1;
      await quoteAnew(tpm, nonceOf(1, i));
    }
    return { kills: times, codes, waited };
  } finally {
    await tpm.close();
    await software.stop();
  }
}

/** The code of the call that was on its way. */
async function killOnce(
  software: TestTpm,
  tpm: Tpm,
  when: 'working' | 'stopped',
  killAndRestart: () => Promise<void>,
): Promise<string> {
  if (when === 'stopped') software.signal('SIGSTOP');
  for (;;) {
    let isPending = true;
    const key = tpm.createPrimary(EK);
    const outcome = key.then(
      () => 'answered',
      (error: unknown) => errorCode(error),
    );
    void outcome.then(() => {
      isPending = false;
    });
    // An RSA key takes the TPM longer than this; where this process was held up, another one is asked for.
    await sleep(when === 'working' ? 2 : 0);
    if (isPending) {
      await killAndRestart();
      return await outcome;
    }
    await (await key)[Symbol.asyncDispose]();
  }
}

/** A whole use of the TPM: a key, a quote by it, its check. */
async function quoteAnew(tpm: Tpm, nonce: Uint8Array): Promise<void> {
  const ak = await tpm.createPrimary(AK);
  assertQuote(publicKeyOf(ak), await tpm.quote(ak, { qualifyingData: nonce, pcrs: [0] }), nonce);
  await ak[Symbol.asyncDispose]();
}

function publicKeyOf(ak: TpmKey): KeyObject {
  const spki = toSpki(parsePublicArea(ak.publicArea));
  return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
}

function assertQuote(key: KeyObject, { attest, signature }: Attestation, nonce: Uint8Array): void {
  const parsed = parseSignature(signature);
  assert(parsed.scheme === 'ecdsa', 'attestation keys sign by ECDSA');
  const isSigned = verify('sha256', attest, { key, dsaEncoding: 'ieee-p1363' }, parsed.rs);
  assert(isSigned, 'the quote is signed');
  assert(Buffer.compare(parseAttest(attest).extraData, nonce) === 0, "the quote answers its caller's nonce");
}

function nonceOf(caller: number, index: number): Uint8Array {
  const nonce = new Uint8Array(32);
  new DataView(nonce.buffer).setUint32(0, caller);
  new DataView(nonce.buffer).setUint32(4, index);
  return nonce;
}

/** As the TPM itself counts. */
async function holdingsOf(channel: TpmChannel): Promise<Holdings> {
  const io = openExecutor(channel);
  const objects = (await listHandles(io, 'transient')).length;
  const loaded = (await listHandles(io, 'loadedSession')).length;
  const saved = (await listHandles(io, 'savedSession')).length;
  return { objects, sessions: loaded + saved, heapBytes: heapBytes() };
}

/** What is reachable, after garbage is collected. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  assert(typeof collect === 'function', 'the garbage collector can be called');
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}
