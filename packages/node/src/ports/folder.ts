/** Small files by their names, such as `ab12.key`. A file is there as it was written, whole, or it is not there. */
export interface Folder {
  names(): string[];
  /** Undefined when there is no such file. */
  read(name: string): Uint8Array | undefined;
  /** Durable when it returns. Throws when there is no room, and then all is as before. */
  write(name: string, bytes: Uint8Array): void;
  /** Without effect when there is no such file. */
  remove(name: string): void;
}
