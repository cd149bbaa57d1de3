import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  CREDIT_VECTORS_FILE,
  renderCreditVectors,
  renderWeightVectors,
  WEIGHT_VECTORS_FILE,
} from './credit-vectors.ts';

test('the committed credit tree vectors are what the code builds', () => {
  expect(readFileSync(CREDIT_VECTORS_FILE, 'utf8')).toBe(renderCreditVectors());
});

test('the committed weights and constants are what the code says', () => {
  expect(readFileSync(WEIGHT_VECTORS_FILE, 'utf8')).toBe(renderWeightVectors());
});
