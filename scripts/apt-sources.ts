/**
 * Which of the machine's own apt sources serve the packages of a Debian release: the suite itself and its
 * updates and security, component main. Everything else (third-party lists) stays out of an image.
 */

/** Stanzas of a deb822 `.sources` file that belong to the release, written back as deb822. */
export function selectDeb822(text: string, suite: string): string[] {
  const chosen: string[] = [];
  for (const stanza of text.split(/\n[ \t]*\n/)) {
    const fields = parseStanza(stanza);
    const suites = words(fields.get('suites')).filter((name) => isOfRelease(name, suite));
    const wanted =
      words(fields.get('types')).includes('deb') &&
      words(fields.get('components')).includes('main') &&
      fields.get('enabled')?.toLowerCase() !== 'no';
    if (!wanted || suites.length === 0) continue;
    const lines = ['Types: deb', `Suites: ${suites.join(' ')}`, 'Components: main'];
    for (const [name, value] of fields) {
      if (!['types', 'suites', 'components', 'architectures'].includes(name)) lines.push(`${name}: ${value}`);
    }
    chosen.push(`${lines.join('\n')}\n`);
  }
  return chosen;
}

/** Lines of a one-line-style `.list` file that belong to the release, with component main only. */
export function selectOneLine(text: string, suite: string): string[] {
  const chosen: string[] = [];
  for (const line of text.split('\n')) {
    const match = /^deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line.trim());
    if (match === null) continue;
    const [, options = '', uri = '', name = '', components = ''] = match;
    if (!isOfRelease(name, suite) || !words(components).includes('main')) continue;
    chosen.push(`deb ${options}${uri} ${name} main\n`);
  }
  return chosen;
}

function isOfRelease(name: string, suite: string): boolean {
  return [suite, `${suite}-updates`, `${suite}-security`].includes(name);
}

function words(value: string | undefined): string[] {
  return (value ?? '').split(/\s+/).filter((word) => word.length > 0);
}

function parseStanza(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let last: string | undefined;
  for (const line of stanza.split('\n')) {
    if (line.startsWith('#') || line.trim() === '') continue;
    const field = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line);
    if (field !== null) {
      last = (field[1] ?? '').toLowerCase();
      fields.set(last, field[2] ?? '');
    } else if (last !== undefined && /^[ \t]/.test(line)) {
      // A continuation line, such as an inline signing key.
      fields.set(last, `${fields.get(last)}\n${line}`);
    }
  }
  return fields;
}
