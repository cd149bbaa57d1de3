import { bytesEqual, toHex } from '@nemea/core';
import type { TaskOnLedger, Vote } from '@nemea/membership';
import { Attestor } from './attestation/attestor.ts';
import { Target } from './attestation/target.ts';
import type { Chronicle } from './chronicle.ts';
import type { NodeContext } from './context.ts';
import { EnrolmentDuty } from './duties/enrolments.ts';
import { EpochDuty } from './duties/epochs.ts';
import { EquivocationDuty } from './duties/equivocations.ts';
import { TaskDuty } from './duties/tasks.ts';
import { Repeats } from './duties/turns.ts';
import { NodeError } from './errors.ts';
import { sleep } from './ports/clock.ts';
import type { NodePorts } from './ports/node-ports.ts';
import { type Order, Reads } from './reads.ts';
import { Bidder } from './tasks/bidder.ts';
import { Executor } from './tasks/executor.ts';
import { RunPhases } from './tasks/phases.ts';
import { Verifier } from './tasks/verifier.ts';
import { Votes } from './votes.ts';

const ELECTION_POLL_MS = 20;

/** What a member does beside ordering: it votes, attests, answers, bids, verifies and runs. */
export interface Services {
  readonly votes: Votes;
  readonly reads: Reads;
  readonly target: Target;
  readonly verifier: Verifier;
  readonly executor: Executor | undefined;
  readonly enrolments: EnrolmentDuty;
  readonly epochs: EpochDuty;
  readonly tasks: TaskDuty;
  readonly equivocations: EquivocationDuty;
  readonly repeats: Repeats;
}

/** `imageDigest` is of the worker image that this machine has measured and loaded, if any. */
export function openServices(
  context: NodeContext,
  ports: Pick<NodePorts, 'sandbox' | 'openStore'>,
  options: {
    readonly chronicle: Chronicle;
    readonly imageDigest: Uint8Array | undefined;
    readonly order: Order;
  },
): Services {
  const { chronicle, imageDigest } = options;
  const { sandbox } = ports;
  const repeats = new Repeats(context.clock);
  const votes = new Votes(context, (vote, receipt) => chronicle.addReceipt(vote, receipt));
  const phases = new RunPhases(context.clock, (taskId, attempt, account) => {
    const task = context.state().tasks.get(toHex(taskId));
    return task?.attempt === attempt && (task.election?.verifiers.includes(account) ?? false);
  });
  const executor =
    sandbox === undefined
      ? undefined
      : new Executor(context, {
          sandbox,
          phases,
          openStore: () => ports.openStore(context.random(32), context.ledger.networkId),
          electionCertificate: (taskId, attempt, timeoutMs) =>
            electionCertificate(context, votes, { taskId, attempt, timeoutMs }),
          time: (step, taskId) => chronicle.time(step, toHex(taskId)),
        });
  const canRun = ({ imageDigest: wanted }: TaskOnLedger): boolean =>
    executor !== undefined &&
    !executor.isBusy &&
    imageDigest !== undefined &&
    bytesEqual(imageDigest, wanted);
  const bidder = new Bidder(context, canRun);
  return {
    votes,
    reads: new Reads(context, options.order),
    target: new Target(context, phases),
    verifier: new Verifier(context, (taskId, attempt) => bidder.verifyProof(taskId, attempt)),
    executor,
    enrolments: new EnrolmentDuty(context, repeats),
    epochs: new EpochDuty(context, new Attestor(context), repeats),
    tasks: new TaskDuty(context, bidder, repeats),
    equivocations: new EquivocationDuty(context),
    repeats,
  };
}

/** The quorum's signatures under the election of this node, once there are enough. Throws `NODE_NOT_READY`. */
async function electionCertificate(
  context: NodeContext,
  votes: Votes,
  { taskId, attempt, timeoutMs }: { taskId: Uint8Array; attempt: number; timeoutMs: number },
): Promise<readonly string[]> {
  const { clock } = context;
  const deadlineMs = clock.elapsedMs() + timeoutMs;
  for (;;) {
    const election = context.state().tasks.get(toHex(taskId))?.election;
    if (election !== undefined) {
      const { executor, salt } = election;
      const vote: Vote = { type: 'Election', taskId, attempt, executor, salt };
      const certificate = await votes.certificate(vote);
      if (certificate !== undefined) return certificate;
    }
    if (clock.elapsedMs() > deadlineMs)
      throw new NodeError('NODE_NOT_READY', 'the election was not signed by a quorum in time');
    await sleep(clock, ELECTION_POLL_MS);
  }
}
