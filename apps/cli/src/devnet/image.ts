import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CodedError } from '@nemea/core';

export class ImageError extends CodedError<'IMAGE_MISSING'> {}

/** The worker image as the set-up built it. */
export interface BuiltImage {
  readonly file: string;
  readonly digest: string;
  readonly name: string;
}

/** Where the set-up puts the worker image. */
export function builtImage(): BuiltImage {
  const folder = new URL('../../../../.nemea/images/', import.meta.url);
  const record = new URL('python.json', folder);
  if (!existsSync(record))
    throw new ImageError('IMAGE_MISSING', 'no worker image: run `npm run setup` first');
  const { digest } = JSON.parse(readFileSync(record, 'utf8')) as { digest: string };
  return {
    file: fileURLToPath(new URL('python.erofs', folder)),
    digest: digest.replace(/^(sha256:|0x)/, ''),
    name: 'python',
  };
}
