import { describe, expect, test } from 'vitest';
import { selectDeb822, selectOneLine } from './apt-sources.ts';

const debian = `Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://vendor.example/apt
Suites: stable
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
`;

describe('the apt sources an image is built from', () => {
  test('keep the release, its updates and its signing key, and drop the rest of a deb822 file', () => {
    expect(selectDeb822(debian, 'bookworm')).toEqual([
      'Types: deb\nSuites: bookworm bookworm-updates\nComponents: main\nuris: http://mirror.example/debian\n' +
        'signed-by: /usr/share/keyrings/debian-archive-keyring.gpg\n',
    ]);
  });

  test('keep an inline signing key with its continuation lines', () => {
    const text =
      'Types: deb\nURIs: http://m.example\nSuites: bookworm\nComponents: main\nSigned-By:\n KEY1\n .\n KEY2';
    expect(selectDeb822(text, 'bookworm')[0]).toContain('signed-by: \n KEY1\n .\n KEY2\n');
  });

  test('keep the release lines of a one-line file with their options', () => {
    const text = [
      '# deb http://commented.example bookworm main',
      'deb [signed-by=/k.gpg arch=amd64] http://mirror.example/debian bookworm main contrib # why',
      'deb http://mirror.example/security bookworm-security main',
      'deb https://vendor.example/docker bookworm stable',
      'deb-src http://mirror.example/debian bookworm main',
    ].join('\n');
    expect(selectOneLine(text, 'bookworm')).toEqual([
      'deb [signed-by=/k.gpg arch=amd64] http://mirror.example/debian bookworm main\n',
      'deb http://mirror.example/security bookworm-security main\n',
    ]);
  });

  test('are none when the machine has another release', () => {
    expect(selectDeb822(debian, 'trixie')).toEqual([]);
    expect(selectOneLine('deb http://mirror.example noble main', 'bookworm')).toEqual([]);
  });
});
