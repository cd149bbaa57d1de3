import type { Election, OperationBody } from '@nemea/membership';
import { expect, test } from 'vitest';
import { TestChain, type TestNode, testContext, testNodes } from '../testing.ts';
import { Executor, type ExecutorPorts } from './executor.ts';

const nodes = testNodes(4);

test('a run that cannot even be given up keeps no later one from running', async () => {
  const chain = new TestChain(nodes);
  const proposed: OperationBody[] = [];
  let isClosing = true;
  const context = testContext(nodes[0] as TestNode, chain, {
    propose(body) {
      if (isClosing) throw new Error('the node is closing');
      proposed.push(body);
    },
  });
  const ports: Partial<ExecutorPorts> = {};
  const executor = new Executor(context, ports as ExecutorPorts);
  const election: Partial<Election> = {};
  // No such task is on layer 1.
  const run = () => executor.execute(new Uint8Array(32), 1, election as Election);
  await run();
  isClosing = false;
  await run();
  expect(proposed).toMatchObject([{ kind: 'abandon', attempt: 1 }]);
  expect(executor.isBusy).toBe(false);
});
