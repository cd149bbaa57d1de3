import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';

export const RESULTS_MAX = 64;

export type Collected =
  | { readonly ok: true; readonly outputs: Uint8Array[] }
  | { readonly ok: false; readonly code: 'OUTPUT_INVALID' | 'OUTPUT_TOO_LARGE'; readonly detail: string };

/**
 * Reads result-0, result-1, ... from a folder that a hostile program filled. Accepts plain files with one link and
 * nothing else; refuses the whole folder otherwise. No detail repeats a name: the program chose it.
 */
export function collectResults(folder: string, outputBytes: number): Collected {
  const names = readdirSync(folder, { encoding: 'buffer' }).map((name) => name.toString('latin1'));
  if (names.length === 0) return invalid('the program left no result');
  if (names.length > RESULTS_MAX)
    return invalid(`too many results: got ${names.length}, want at most ${RESULTS_MAX}`);
  const outputs: Uint8Array[] = [];
  let leftBytes = outputBytes;
  for (let index = 0; index < names.length; index += 1) {
    if (!names.includes(`result-${index}`))
      return invalid('the output holds something else than numbered results');
    const output = readPlainFile(`${folder}/result-${index}`, leftBytes);
    if (output === 'not-plain') return invalid(`result ${index} is not a plain file with one link`);
    if (output === 'too-large') {
      return { ok: false, code: 'OUTPUT_TOO_LARGE', detail: `the results exceed ${outputBytes} bytes` };
    }
    leftBytes -= output.length;
    outputs.push(output);
  }
  return { ok: true, outputs };
}

function readPlainFile(path: string, bytesMax: number): Uint8Array | 'not-plain' | 'too-large' {
  const fd = openPlain(path);
  if (fd === undefined) return 'not-plain';
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.nlink !== 1) return 'not-plain';
    if (stat.size > bytesMax) return 'too-large';
    const content = new Uint8Array(stat.size);
    let length = 0;
    while (length < content.length) {
      const got = readSync(fd, content, length, content.length - length, length);
      // Every process of the run is gone: a file that shrinks now is not the program's doing.
      if (got === 0) return 'not-plain';
      length += got;
    }
    return content;
  } finally {
    closeSync(fd);
  }
}

/** Never follows a link, never waits for the other end of a pipe. */
function openPlain(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code === 'ELOOP' || code === 'ENXIO') return undefined;
    throw error;
  }
}

function invalid(detail: string): Collected {
  return { ok: false, code: 'OUTPUT_INVALID', detail };
}
