// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {ITaskEscrow} from "../src/interfaces/ITaskEscrow.sol";
import {QuorumCertificate} from "../src/libraries/QuorumCertificate.sol";
import {NodeStatus} from "../src/types/NodeRecord.sol";
import {TaskSpec, TaskState} from "../src/types/Task.sol";
import {Election, Settlement, TaskFailure} from "../src/types/Votes.sol";
import {Network} from "./utils/Network.sol";

contract TaskEscrowTest is Network {
    address internal executor;

    function setUp() public override {
        super.setUp();
        completeGenesis();
        registerCapsules();
        executor = accounts[0];
    }

    function test_create_takesTheFeeAndNamesTheTask() public {
        TaskSpec memory s = taskSpec(400, 2);
        bytes32 want = escrow.taskIdOf(CREATOR, 0, s, hex"a0");
        bytes32 taskId = createTask(400, 2);
        assertEq(taskId, want, "id");
        assertEq(token.balanceOf(address(escrow)), 400, "escrowed");
        assertTrue(escrow.task(taskId).state == TaskState.Created, "state");
        assertTrue(createTask(400, 2) != taskId, "a nonce keeps equal tasks apart");
    }

    function test_create_failsIfAFieldIsMalformed() public {
        TaskSpec memory s = taskSpec(400, 2);
        s.fee = 0;
        _expectCreateReverts(s, abi.encodeWithSelector(ITaskEscrow.TaskFieldInvalid.selector, "fee"));
        s = taskSpec(400, 2);
        s.timeoutS = 7 days + 1;
        _expectCreateReverts(s, abi.encodeWithSelector(ITaskEscrow.TaskFieldInvalid.selector, "timeoutS"));
        s = taskSpec(400, 2);
        s.capsuleIds = new bytes32[](17);
        _expectCreateReverts(s, abi.encodeWithSelector(ITaskEscrow.TaskFieldInvalid.selector, "capsuleIds"));
        s = taskSpec(400, 2);
        s.capsuleIds[1] = s.capsuleIds[0];
        _expectCreateReverts(s, abi.encodeWithSelector(ITaskEscrow.CapsuleNamedTwice.selector, CAPSULE_B));
        s.capsuleIds[1] = keccak256("unknown");
        _expectCreateReverts(
            s, abi.encodeWithSelector(ITaskEscrow.CapsuleNotRegistered.selector, keccak256("unknown"))
        );
        s = taskSpec(400, 2);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.TaskFieldInvalid.selector, "spec"));
        escrow.create(s, new bytes(8_193));
    }

    function test_settle_paysEveryoneAndRevealsTheExecutor() public {
        bytes32 taskId = createTask(1_000, 2);
        elect(taskId, 1, executor);
        _settle(settlementOf(taskId, 1, executor, 1, 4));
        assertEq(token.balanceOf(executor), 500, "executor");
        assertEq(token.balanceOf(accounts[1]), 66, "verifier");
        assertEq(token.balanceOf(OWNER_B), 125, "owner b");
        assertEq(token.balanceOf(OWNER_C), 125, "owner c");
        assertEq(registry.reserve(), 52, "reserve");
        assertEq(token.balanceOf(address(escrow)), 0, "nothing stays");
        assertEq(registry.standing(executor).credit, 120, "executor's credit");
        assertEq(registry.standing(accounts[1]).credit, 105, "verifier's credit");
        assertEq(escrow.task(taskId).executor, executor, "revealed");
        assertTrue(escrow.task(taskId).state == TaskState.Settled, "state");
    }

    function testFuzz_settle_losesNoUnit(uint128 fee, uint8 capsuleCount, uint8 verifierCount) public {
        fee = uint128(bound(fee, 1, DEPOSIT_MIN));
        uint256 verifiers = bound(verifierCount, 1, 4);
        bytes32 taskId = createTask(fee, bound(capsuleCount, 0, 2));
        elect(taskId, 1, executor);
        _settle(settlementOf(taskId, 1, executor, 1, 1 + verifiers));
        uint256 paid = token.balanceOf(OWNER_B) + token.balanceOf(OWNER_C) + token.balanceOf(CREATOR);
        for (uint256 i = 0; i <= verifiers; i++) {
            paid += token.balanceOf(accounts[i]);
        }
        assertEq(paid + registry.reserve(), fee, "sum");
        assertEq(token.balanceOf(address(escrow)), 0, "nothing stays");
    }

    function test_settle_givesAnInactiveVerifiersShareToTheReserve() public {
        bytes32 taskId = createTask(1_000, 2);
        elect(taskId, 1, executor);
        evict(accounts[1], 1);
        uint256 reserveBefore = registry.reserve();
        _settle(settlementOf(taskId, 1, executor, 1, 4));
        assertEq(token.balanceOf(accounts[1]), 0, "unpaid");
        assertEq(registry.reserve() - reserveBefore, 52 + 66, "reserve");
    }

    function test_settle_failsIfTheCommitmentDoesNotOpen() public {
        bytes32 taskId = createTask(400, 2);
        elect(taskId, 1, executor);
        Settlement memory s = settlementOf(taskId, 1, accounts[4], 1, 4);
        bytes32 got = electionOf(taskId, 1, accounts[4]).commitment;
        bytes32 want = electionOf(taskId, 1, executor).commitment;
        _expectSettleReverts(s, abi.encodeWithSelector(ITaskEscrow.CommitmentMismatch.selector, taskId, got, want));
    }

    function test_settle_failsIfTheFeeIsMoreThanTheExecutorCanLose() public {
        bytes32 taskId = createTask(DEPOSIT_MIN + 1, 2);
        elect(taskId, 1, executor);
        _expectSettleReverts(
            settlementOf(taskId, 1, executor, 1, 4),
            abi.encodeWithSelector(
                ITaskEscrow.ExecutorDepositTooLow.selector, executor, DEPOSIT_MIN, DEPOSIT_MIN + 1
            )
        );
    }

    function test_settle_failsIfTheExecutorIsNotGoodEnough() public {
        address newcomer = accounts[FOUNDERS];
        admit(newcomer, 1);
        bytes32 taskId = createTask(400, 2);
        elect(taskId, 1, newcomer);
        Settlement memory s = settlementOf(taskId, 1, newcomer, 1, 4);
        _expectSettleReverts(s, abi.encodeWithSelector(ITaskEscrow.ExecutorCreditTooLow.selector, newcomer, 1, 10));
        evict(newcomer, 1);
        _expectSettleReverts(
            s, abi.encodeWithSelector(ITaskEscrow.ExecutorNotActive.selector, newcomer, NodeStatus.Evicted)
        );
    }

    function test_settle_failsIfTheVerifierListIsMalformed() public {
        bytes32 taskId = createTask(400, 2);
        elect(taskId, 1, executor);
        Settlement memory s = settlementOf(taskId, 1, executor, 1, 1);
        _expectSettleReverts(s, abi.encodeWithSelector(ITaskEscrow.VerifierCountInvalid.selector, 0, 32));
        s = settlementOf(taskId, 1, executor, 0, 2);
        _expectSettleReverts(s, abi.encodeWithSelector(ITaskEscrow.VerifierIsExecutor.selector, executor));
        s = settlementOf(taskId, 1, executor, 1, 3);
        s.verifiers[1] = s.verifiers[0];
        _expectSettleReverts(
            s, abi.encodeWithSelector(ITaskEscrow.VerifiersNotRising.selector, s.verifiers[0], s.verifiers[0])
        );
    }

    function test_settle_failsTwiceAndBeforeElection() public {
        bytes32 taskId = createTask(400, 2);
        Settlement memory s = settlementOf(taskId, 1, executor, 1, 4);
        _expectSettleReverts(
            s, abi.encodeWithSelector(ITaskEscrow.TaskStateWrong.selector, taskId, TaskState.Created)
        );
        elect(taskId, 1, executor);
        _settle(s);
        _expectSettleReverts(
            s, abi.encodeWithSelector(ITaskEscrow.TaskStateWrong.selector, taskId, TaskState.Settled)
        );
    }

    function test_commitExecutor_allowsReDrawsUpToTheLimit() public {
        bytes32 taskId = createTask(400, 2);
        elect(taskId, 1, executor);
        Election memory again = electionOf(taskId, 1, accounts[1]);
        _expectCommitReverts(again, abi.encodeWithSelector(ITaskEscrow.AttemptNotRising.selector, taskId, 1, 1));
        elect(taskId, 5, accounts[1]);
        Election memory sixth = electionOf(taskId, 6, accounts[2]);
        _expectCommitReverts(sixth, abi.encodeWithSelector(ITaskEscrow.AttemptTooHigh.selector, taskId, 6, 5));
        _expectSettleReverts(
            settlementOf(taskId, 1, executor, 1, 4),
            abi.encodeWithSelector(ITaskEscrow.AttemptMismatch.selector, taskId, 1, 5)
        );
    }

    function test_commitExecutor_failsWithoutAQuorumOrAfterTheDeadline() public {
        bytes32 taskId = createTask(400, 2);
        Election memory e = electionOf(taskId, 1, executor);
        bytes[] memory signatures = signBy(hasher.hash(e), firstAccounts(3));
        vm.expectRevert(abi.encodeWithSelector(QuorumCertificate.QuorumNotReached.selector, 30, 50));
        escrow.commitExecutor(e, signatures);
        uint256 deadlineS = escrow.deadlineS(taskId);
        vm.warp(deadlineS + 1);
        _expectCommitReverts(e, abi.encodeWithSelector(ITaskEscrow.TaskOverdue.selector, taskId, deadlineS));
    }

    function testFuzz_refund_paysOnceAndOnlyAfterTheDeadline(uint32 waitS) public {
        bytes32 taskId = createTask(400, 2);
        uint256 deadlineS = escrow.deadlineS(taskId);
        assertEq(deadlineS, block.timestamp + 60 + GRACE_S, "deadline");
        vm.warp(block.timestamp + bound(waitS, 0, 60 + GRACE_S));
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.TaskNotOverdue.selector, taskId, deadlineS));
        escrow.refund(taskId);
        vm.warp(deadlineS + 1);
        escrow.refund(taskId);
        assertEq(token.balanceOf(CREATOR), 400, "refunded");
        vm.expectRevert(
            abi.encodeWithSelector(ITaskEscrow.TaskStateWrong.selector, taskId, TaskState.Refunded)
        );
        escrow.refund(taskId);
    }

    function test_fail_refundsAtOnceWithTheReasonOnRecord() public {
        bytes32 taskId = createTask(400, 2);
        elect(taskId, 2, executor);
        TaskFailure memory stale = TaskFailure(taskId, 1, 7);
        bytes[] memory signatures = sign(hasher.hash(stale));
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.AttemptMismatch.selector, taskId, 1, 2));
        escrow.fail(stale, signatures);
        TaskFailure memory f = TaskFailure(taskId, 3, 7);
        escrow.fail(f, sign(hasher.hash(f)));
        assertEq(escrow.task(taskId).reason, 7, "reason");
        assertEq(token.balanceOf(CREATOR), 400, "refunded");
        assertTrue(escrow.task(taskId).state == TaskState.Failed, "state");
    }

    function _settle(Settlement memory s) private {
        escrow.settle(s, sign(hasher.hash(s)));
    }

    function _expectCreateReverts(TaskSpec memory s, bytes memory reason) private {
        vm.expectRevert(reason);
        escrow.create(s, hex"a0");
    }

    function _expectCommitReverts(Election memory e, bytes memory reason) private {
        bytes[] memory signatures = sign(hasher.hash(e));
        vm.expectRevert(reason);
        escrow.commitExecutor(e, signatures);
    }

    function _expectSettleReverts(Settlement memory s, bytes memory reason) private {
        bytes[] memory signatures = sign(hasher.hash(s));
        vm.expectRevert(reason);
        escrow.settle(s, signatures);
    }
}
