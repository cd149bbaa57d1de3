import { isTestFile, lineAt, type Problem, type Repository } from './files.ts';

/** In a page of docs/spec: `- **[ATT-4]** ...`, or a row `| FAULT-4 | ...`. */
const DEFINITION = /^(?:- \*\*\[(?<item>[A-Z]+-\d+)\]\*\*|\| (?<row>[A-Z]+-\d+) \|)/gm;
const CITATION = /\[(?<rule>[A-Z]+-\d+)\]/g;
/** The matrix names a rule in each of its rows. */
const ROW_CITATION = /'(?<rule>[A-Z]+-\d+)'/g;
const CITING = /\.(?:ts|sol)$/;

/**
 * A rule that no code cites is kept by nobody, one that no test cites by nobody for long, and a citation of no rule tells
 * the reader nothing. Rules in tables are about whole runs of the network, so that tests alone cite them.
 */
export function checkRules(repository: Repository): Problem[] {
  const problems: Problem[] = [];
  const rules = definedRules(repository, problems);
  const prefixes = new Set([...rules.keys()].map(prefixOf));
  const cited = { code: new Set<string>(), test: new Set<string>() };
  for (const { path, text } of repository.files) {
    if (!CITING.test(path) || path.startsWith('scripts/tidy')) continue;
    const inMatrix = path.startsWith('scripts/matrix/');
    const by =
      inMatrix || isTestFile(path) || path.endsWith('.t.sol') || path.endsWith('.test.ts') ? 'test' : 'code';
    for (const match of [...text.matchAll(CITATION), ...(inMatrix ? text.matchAll(ROW_CITATION) : [])]) {
      const rule = match.groups?.rule ?? '';
      if (!prefixes.has(prefixOf(rule))) continue;
      cited[by].add(rule);
      if (rules.has(rule)) continue;
      problems.push({
        rule: 'rule-unknown',
        path,
        line: lineAt(text, match.index),
        message: `there is no ${rule}`,
      });
    }
  }
  for (const [rule, { path, line, isTested }] of rules) {
    if (!cited.test.has(rule))
      problems.push({ rule: 'rule-untested', path, line, message: `no test cites ${rule}` });
    if (!isTested && !cited.code.has(rule))
      problems.push({ rule: 'rule-unkept', path, line, message: `no code cites ${rule}` });
  }
  return problems;
}

type Defined = { readonly path: string; readonly line: number; readonly isTested: boolean };

function definedRules({ files }: Repository, problems: Problem[]): Map<string, Defined> {
  const rules = new Map<string, Defined>();
  for (const { path, text } of files) {
    if (!/^docs\/spec\/[^/]+\.md$/.test(path)) continue;
    for (const match of text.matchAll(DEFINITION)) {
      const { item, row } = match.groups ?? {};
      const rule = item ?? row ?? '';
      const line = lineAt(text, match.index);
      if (rules.has(rule))
        problems.push({ rule: 'rule-twice', path, line, message: `${rule} is there already` });
      rules.set(rule, { path, line, isTested: row !== undefined });
    }
  }
  return rules;
}

function prefixOf(rule: string): string {
  return rule.slice(0, rule.indexOf('-'));
}
