/** One life of a process: from its start to its end or crash. What a dead process awaits never comes. */
export class Life {
  #isOn = true;
  readonly #onEnd: (() => void)[] = [];

  get isOn(): boolean {
    return this.#isOn;
  }

  end(): void {
    if (!this.#isOn) return;
    this.#isOn = false;
    for (const run of this.#onEnd.splice(0)) run();
  }

  onEnd(run: () => void): void {
    this.#onEnd.push(run);
  }

  /** `work` as this process sees it: its result arrives only while the process lives. */
  async during<T>(work: Promise<T>): Promise<T> {
    try {
      const value = await work;
      if (this.#isOn) return value;
    } catch (error) {
      if (this.#isOn) throw error;
    }
    return new Promise<never>(() => {});
  }
}
