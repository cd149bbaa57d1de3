/** Lines of at most `columns`: broken at spaces, and a word that is longer than a line where the line ends. */
export function fold(text: string, columns: number): string[] {
  const pieces = new RegExp(`.{1,${columns}}`, 'gu');
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((it) => it.match(pieces) ?? [''])) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
