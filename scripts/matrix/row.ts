import { isDeepStrictEqual } from 'node:util';
import { CodedError } from '@nemea/core';

/** What came of a row: the verdict on the honest artefact, and on the tampered one. */
export interface Outcome {
  readonly honest: string;
  readonly got: string;
}

/** One tampering with one artefact, and the code that refuses it. */
export interface Row {
  readonly artefact: string;
  readonly change: string;
  /** The function or the command that judges. */
  readonly by: string;
  /** `OK` for a change that must not matter. */
  readonly expected: string;
  /** The rule of `docs/spec`, or the section of the specification. */
  readonly rule: string;
  run(): Promise<Outcome>;
}

/** The honest artefact of some rows, made when the first of them runs, and who judges it and what became of it. */
export interface Subject<T extends object> {
  readonly artefact: string;
  readonly by: string;
  readonly honest: () => T | Promise<T>;
  /** A code, `OK` when the artefact is accepted. A `CodedError` that it throws is its code. */
  readonly judge: (artefact: T) => unknown;
}

/** Several results of a change (each flipped bit) must all be refused, by the same code. */
export type Change<T> = (honest: T) => T | readonly T[] | Promise<T | readonly T[]>;

export type Tampering<T> = readonly [change: string, expected: string, rule: string, tamper: Change<T>];

/** Every row of a subject starts from its honest artefact, which the same judge must accept. */
export function rowsOf<T extends object>(subject: Subject<T>, tamperings: readonly Tampering<T>[]): Row[] {
  const { artefact, by, judge } = subject;
  const honest = once(async () => {
    const made = await subject.honest();
    return { made, verdict: await verdictOf(judge, made) };
  });
  return tamperings.map(([change, expected, rule, tamper]) => ({
    artefact,
    change,
    by,
    expected,
    rule,
    async run() {
      const { made, verdict } = await honest();
      const tampered = await tamper(made);
      const all = isList(tampered) ? tampered : [tampered];
      const codes = new Set<string>();
      for (const it of all) {
        codes.add(isDeepStrictEqual(it, made) ? 'NOT_TAMPERED' : await verdictOf(judge, it));
      }
      return { honest: verdict, got: [...codes].join(' ') };
    },
  }));
}

/** A judge out of a check that throws for what it refuses. */
export function accepts<T>(check: (artefact: T) => unknown): (artefact: T) => string {
  return (artefact) => {
    check(artefact);
    return 'OK';
  };
}

export function isAsSpecified({ expected }: Row, { honest, got }: Outcome): boolean {
  return honest === 'OK' && got === expected;
}

/** `an attestation key that is not restricted is refused by appraise: AK_PUBLIC_INVALID`. */
export function titleOf({ artefact, change, by, expected }: Row): string {
  return expected === 'OK'
    ? `${artefact} ${change} is accepted by ${by}`
    : `${artefact} ${change} is refused by ${by}: ${expected}`;
}

async function verdictOf<T>(judge: (artefact: T) => unknown, artefact: T): Promise<string> {
  try {
    return String(await judge(artefact));
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  }
}

function isList<T>(changed: T | readonly T[]): changed is readonly T[] {
  return Array.isArray(changed);
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
