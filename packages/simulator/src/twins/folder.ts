import type { Folder } from '@nemea/node/ports';

/** A folder whose files outlive the process that wrote them: whoever holds `files` opens it again. */
export function openFolderTwin(files: Map<string, Uint8Array>): Folder {
  return {
    names: () => [...files.keys()],
    read: (name) => files.get(name)?.slice(),
    write: (name, bytes) => void files.set(name, bytes.slice()),
    remove: (name) => void files.delete(name),
  };
}
