import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parsePolicy, parseReferenceValuesDocument } from '@nemea/attestation';
import { explainPolicy, type Sentence } from '@nemea/attestation/explain';
import { readJson } from '../files.ts';
import { fold } from '../text.ts';

export function explain(file: string, references: string | undefined): Sentence[] {
  const beside = join(dirname(file), 'reference-values.json');
  const values = references ?? (existsSync(beside) ? beside : undefined);
  return explainPolicy(
    parsePolicy(readJson(file)),
    values === undefined ? undefined : parseReferenceValuesDocument(readJson(values)),
  );
}

const COLUMNS = 80;

/** The field, what it demands, and behind a wider margin why. */
export function showSentences(sentences: readonly Sentence[]): string {
  const indented = (text: string, margin: string): string[] =>
    fold(text, COLUMNS - margin.length).map((line) => margin + line);
  return sentences
    .flatMap(({ field, demand, why }) => [
      field,
      ...indented(demand, '  '),
      ...indented(`Why: ${why}`, '    '),
      '',
    ])
    .join('\n')
    .trimEnd();
}
