import { join } from 'node:path';
import { checkDocstrings } from './tidy/docstrings.ts';
import { checkDocuments } from './tidy/documents.ts';
import { type Problem, type Repository, readRepository } from './tidy/files.ts';
import { checkHygiene } from './tidy/hygiene.ts';
import { checkImports } from './tidy/imports.ts';
import { longestFiles, longestFunctions } from './tidy/longest.ts';
import { checkPurity } from './tidy/purity.ts';
import { checkRules } from './tidy/rules.ts';

/** The house rules of STYLE.md and ARCHITECTURE.md that a program can keep. */
export function tidy(repository: Repository): Problem[] {
  return [
    ...checkImports(repository),
    ...checkPurity(repository),
    ...checkDocuments(repository),
    ...checkDocstrings(repository),
    ...checkHygiene(repository),
    ...checkRules(repository),
  ];
}

if (import.meta.main) {
  const repository = readRepository(join(import.meta.dirname, '..'));
  const problems = tidy(repository);
  for (const { rule, path, line, message } of problems) {
    console.error(`${path}${line === 0 ? '' : `:${line}`}: ${message} [${rule}]`);
  }
  console.log('longest files, for the eye:');
  for (const { name, lines } of longestFiles(repository, 8)) console.log(`  ${lines}  ${name}`);
  console.log('longest functions, for the eye:');
  for (const { name, lines } of longestFunctions(repository, 8)) console.log(`  ${lines}  ${name}`);
  console.log(`tidy: ${repository.files.length} files, ${problems.length} problems`);
  if (problems.length > 0) process.exitCode = 1;
}
