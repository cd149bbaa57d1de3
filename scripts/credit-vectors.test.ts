import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  CREDIT_VECTORS_FILE,
  FORMULA_VECTORS_FILE,
  renderCreditVectors,
  renderFormulaVectors,
  renderWeightVectors,
  WEIGHT_VECTORS_FILE,
} from './credit-vectors.ts';

test('the committed credit tree vectors are what the code builds', () => {
  expect(readFileSync(CREDIT_VECTORS_FILE, 'utf8')).toBe(renderCreditVectors());
});

test('the committed formula, owner caps and shares are what the code says [MEMB-7] [MEMB-39] [MEMB-40]', () => {
  expect(readFileSync(FORMULA_VECTORS_FILE, 'utf8')).toBe(renderFormulaVectors());
});

test('the committed weights and constants are what the code says', () => {
  expect(readFileSync(WEIGHT_VECTORS_FILE, 'utf8')).toBe(renderWeightVectors());
});
