/** How often each kind of fault was injected. */
export class Counts {
  readonly byKind = new Map<string, number>();

  add(kind: string, count = 1): void {
    this.byKind.set(kind, (this.byKind.get(kind) ?? 0) + count);
  }
}
