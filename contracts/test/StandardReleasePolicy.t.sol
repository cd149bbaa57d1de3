// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IStandardReleasePolicy, ReleaseRule} from "../src/interfaces/IStandardReleasePolicy.sol";
import {ReleaseCode} from "../src/types/ReleaseCode.sol";
import {TaskSpec} from "../src/types/Task.sol";
import {Network} from "./utils/Network.sol";

contract StandardReleasePolicyTest is Network {
    bytes32 internal taskId;
    address internal executor;

    function setUp() public override {
        super.setUp();
        completeGenesis();
        registerCapsules();
        executor = accounts[0];
        taskId = createTask(400, 1);
        _setRule(CAPSULE_B, OWNER_B, _rule());
    }

    function test_check_permitsWhatTheRuleNames() public view {
        _expect(ReleaseCode.Permitted, CAPSULE_B, taskId, CODE, IMAGE, executor);
    }

    function test_check_refusesWithTheFirstReason() public {
        bytes32 other = keccak256("other");
        _expect(ReleaseCode.RuleMissing, CAPSULE_C, taskId, CODE, IMAGE, executor);
        _expect(ReleaseCode.CodeNotPermitted, CAPSULE_B, taskId, other, IMAGE, executor);
        _expect(ReleaseCode.ImageNotPermitted, CAPSULE_B, taskId, CODE, other, executor);
        _expect(ReleaseCode.TaskUnknown, CAPSULE_B, other, CODE, IMAGE, executor);
        _expect(ReleaseCode.ExecutorNotActive, CAPSULE_B, taskId, CODE, IMAGE, CREATOR);
        _setRule(CAPSULE_C, OWNER_C, _rule());
        _expect(ReleaseCode.TaskCapsuleMissing, CAPSULE_C, taskId, CODE, IMAGE, executor);
    }

    function test_check_refusesATaskSubmittedForOtherCodeOrImage() public {
        ReleaseRule memory rule = _rule();
        rule.codeDigest = keccak256("other");
        _setRule(CAPSULE_B, OWNER_B, rule);
        _expect(ReleaseCode.TaskCodeMismatch, CAPSULE_B, taskId, rule.codeDigest, IMAGE, executor);
        rule = _rule();
        rule.imageDigest = keccak256("other");
        _setRule(CAPSULE_B, OWNER_B, rule);
        _expect(ReleaseCode.TaskImageMismatch, CAPSULE_B, taskId, CODE, rule.imageDigest, executor);
    }

    function test_check_refusesAnExecutorThatIsNotGoodEnough() public {
        ReleaseRule memory rule = _rule();
        rule.minCredit = 101;
        _setRule(CAPSULE_B, OWNER_B, rule);
        _expect(ReleaseCode.ExecutorCreditTooLow, CAPSULE_B, taskId, CODE, IMAGE, executor);
        rule = _rule();
        rule.minLevel = 2;
        _setRule(CAPSULE_B, OWNER_B, rule);
        _expect(ReleaseCode.ExecutorLevelTooLow, CAPSULE_B, taskId, CODE, IMAGE, executor);
        evict(executor, 1);
        _expect(ReleaseCode.ExecutorNotActive, CAPSULE_B, taskId, CODE, IMAGE, executor);
    }

    function test_check_refusesAfterExpiryDeadlineAndWithdrawal() public {
        vm.warp(escrow.deadlineS(taskId) + 1);
        _expect(ReleaseCode.TaskNotLive, CAPSULE_B, taskId, CODE, IMAGE, executor);
        vm.warp(_rule().expiry + 1);
        _expect(ReleaseCode.RuleExpired, CAPSULE_B, taskId, CODE, IMAGE, executor);
        vm.prank(OWNER_B);
        policy.withdrawRule(CAPSULE_B);
        _expect(ReleaseCode.RuleMissing, CAPSULE_B, taskId, CODE, IMAGE, executor);
    }

    function test_setRule_isForTheOwnerAndForTheFuture() public {
        ReleaseRule memory rule = _rule();
        vm.expectRevert(
            abi.encodeWithSelector(
                IStandardReleasePolicy.NotOwnerOfCapsule.selector, CAPSULE_B, address(this), OWNER_B
            )
        );
        policy.setRule(CAPSULE_B, rule);
        rule.expiry = uint64(block.timestamp);
        vm.prank(OWNER_B);
        vm.expectRevert(
            abi.encodeWithSelector(
                IStandardReleasePolicy.RuleExpiryPast.selector, rule.expiry, block.timestamp
            )
        );
        policy.setRule(CAPSULE_B, rule);
    }

    function _rule() private pure returns (ReleaseRule memory) {
        return ReleaseRule(CODE, IMAGE, 10, 1, 2_000_000);
    }

    function _setRule(bytes32 capsuleId, address owner, ReleaseRule memory rule) private {
        vm.prank(owner);
        policy.setRule(capsuleId, rule);
    }

    function _expect(
        ReleaseCode want,
        bytes32 capsuleId,
        bytes32 task,
        bytes32 codeDigest,
        bytes32 imageDigest,
        address account
    ) private view {
        assertEq(policy.check(capsuleId, task, codeDigest, imageDigest, account), uint8(want), "release code");
    }
}
