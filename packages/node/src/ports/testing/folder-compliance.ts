import { assert, bytesEqual } from '@nemea/core';
import type { Folder } from '../folder.ts';
import type { ComplianceCase } from './journal-compliance.ts';

/** The suite for a folder. `prepare` makes an empty place; opened again, it has what was written before. */
export function folderCompliance(prepare: () => () => Folder): ComplianceCase[] {
  const expectFile = (folder: Folder, name: string, want: number | undefined): void => {
    const got = folder.read(name);
    const isRight =
      want === undefined ? got === undefined : got !== undefined && bytesEqual(got, Uint8Array.of(want));
    assert(isRight, `${name}: got ${got?.join() ?? 'nothing'}, want ${want ?? 'nothing'}`);
  };
  return [
    {
      title: 'has what was written to it, by name, also when it is opened again',
      run() {
        const open = prepare();
        const folder = open();
        assert(folder.names().length === 0, 'it is empty');
        folder.write('a', Uint8Array.of(1));
        folder.write('b', Uint8Array.of(2));
        folder.write('a', Uint8Array.of(3));
        for (const opened of [folder, open()]) {
          assert(opened.names().sort().join() === 'a,b', `got ${opened.names().join()}`);
          expectFile(opened, 'a', 3);
          expectFile(opened, 'b', 2);
          expectFile(opened, 'c', undefined);
        }
      },
    },
    {
      title: 'keeps bytes of its own',
      run() {
        const folder = prepare()();
        const bytes = Uint8Array.of(1);
        folder.write('a', bytes);
        bytes.fill(9);
        folder.read('a')?.fill(9);
        expectFile(folder, 'a', 1);
      },
    },
    {
      title: 'removes a file, and nothing when there is none',
      run() {
        const folder = prepare()();
        folder.write('a', Uint8Array.of(1));
        folder.remove('a');
        folder.remove('a');
        expectFile(folder, 'a', undefined);
        assert(folder.names().length === 0, 'it is empty');
      },
    },
  ];
}
