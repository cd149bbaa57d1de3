import { checkVectors, type Outcome } from './vector-checks.ts';

/** What the page of the browser test runs; the test reads the outcome out of the document. */
async function main(): Promise<Outcome> {
  return checkVectors(async (path) => {
    const response = await fetch(`vectors/${path}`);
    if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  });
}

main().then(
  (outcome) => show(JSON.stringify(outcome)),
  (error: unknown) => show(String(error)),
);

function show(text: string): void {
  document.body.textContent = text;
}
