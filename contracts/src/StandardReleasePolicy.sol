// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {ICapsuleRegistry} from "./interfaces/ICapsuleRegistry.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IReleasePolicy} from "./interfaces/IReleasePolicy.sol";
import {IStandardReleasePolicy, ReleaseRule} from "./interfaces/IStandardReleasePolicy.sol";
import {ITaskEscrow} from "./interfaces/ITaskEscrow.sol";
import {NodeStatus, Standing} from "./types/NodeRecord.sol";
import {ReleaseCode} from "./types/ReleaseCode.sol";
import {Task, TaskState} from "./types/Task.sol";

/// @title StandardReleasePolicy
/// @notice Judges by layer 1 alone. That the executor is the elected one, and clean, is for the key agent to check.
contract StandardReleasePolicy is IStandardReleasePolicy {
    uint8 public constant LEVEL_MAX = 3;

    INodeRegistry public immutable registry;
    ICapsuleRegistry public immutable capsules;
    ITaskEscrow public immutable escrow;

    mapping(bytes32 capsuleId => ReleaseRule) private _rules;

    constructor(INodeRegistry registry_, ICapsuleRegistry capsules_, ITaskEscrow escrow_) {
        registry = registry_;
        capsules = capsules_;
        escrow = escrow_;
    }

    modifier onlyOwnerOf(bytes32 capsuleId) {
        address owner = capsules.ownerOf(capsuleId);
        if (msg.sender != owner) revert NotOwnerOfCapsule(capsuleId, msg.sender, owner);
        _;
    }

    /// @inheritdoc IStandardReleasePolicy
    function setRule(bytes32 capsuleId, ReleaseRule calldata rule) external onlyOwnerOf(capsuleId) {
        if (rule.codeDigest == 0) revert RuleFieldInvalid("codeDigest");
        if (rule.imageDigest == 0) revert RuleFieldInvalid("imageDigest");
        if (rule.minLevel == 0 || rule.minLevel > LEVEL_MAX) revert RuleFieldInvalid("minLevel");
        if (rule.expiry <= block.timestamp) revert RuleExpiryPast(rule.expiry, block.timestamp);
        _rules[capsuleId] = rule;
        emit RuleSet(capsuleId, rule);
    }

    /// @inheritdoc IStandardReleasePolicy
    function withdrawRule(bytes32 capsuleId) external onlyOwnerOf(capsuleId) {
        delete _rules[capsuleId];
        emit RuleWithdrawn(capsuleId);
    }

    /// @inheritdoc IStandardReleasePolicy
    function ruleOf(bytes32 capsuleId) external view returns (ReleaseRule memory) {
        return _rules[capsuleId];
    }

    /// @inheritdoc IReleasePolicy
    function check(bytes32 capsuleId, bytes32 taskId, bytes32 codeDigest, bytes32 imageDigest, address executor)
        external
        view
        returns (uint8)
    {
        ReleaseRule memory rule = _rules[capsuleId];
        ReleaseCode code = _checkRule(rule, codeDigest, imageDigest);
        if (code == ReleaseCode.Permitted) code = _checkTask(taskId, capsuleId, codeDigest, imageDigest);
        if (code == ReleaseCode.Permitted) code = _checkExecutor(rule, executor);
        return uint8(code);
    }

    function _checkRule(ReleaseRule memory rule, bytes32 codeDigest, bytes32 imageDigest)
        private
        view
        returns (ReleaseCode)
    {
        if (rule.expiry == 0) return ReleaseCode.RuleMissing;
        if (block.timestamp > rule.expiry) return ReleaseCode.RuleExpired;
        if (codeDigest != rule.codeDigest) return ReleaseCode.CodeNotPermitted;
        if (imageDigest != rule.imageDigest) return ReleaseCode.ImageNotPermitted;
        return ReleaseCode.Permitted;
    }

    /// @dev A task counts from its creation: agents see the election certificate before its commitment is mined.
    function _checkTask(bytes32 taskId, bytes32 capsuleId, bytes32 codeDigest, bytes32 imageDigest)
        private
        view
        returns (ReleaseCode)
    {
        Task memory task = escrow.task(taskId);
        if (task.state == TaskState.None) return ReleaseCode.TaskUnknown;
        bool open = task.state == TaskState.Created || task.state == TaskState.Elected;
        if (!open || block.timestamp > escrow.deadlineS(taskId)) return ReleaseCode.TaskNotLive;
        if (!_contains(task.capsuleIds, capsuleId)) return ReleaseCode.TaskCapsuleMissing;
        if (task.codeDigest != codeDigest) return ReleaseCode.TaskCodeMismatch;
        if (task.imageDigest != imageDigest) return ReleaseCode.TaskImageMismatch;
        return ReleaseCode.Permitted;
    }

    function _checkExecutor(ReleaseRule memory rule, address executor) private view returns (ReleaseCode) {
        Standing memory standing = registry.standing(executor);
        if (standing.status != NodeStatus.Active) return ReleaseCode.ExecutorNotActive;
        if (standing.credit < rule.minCredit) return ReleaseCode.ExecutorCreditTooLow;
        if (standing.level < rule.minLevel) return ReleaseCode.ExecutorLevelTooLow;
        return ReleaseCode.Permitted;
    }

    function _contains(bytes32[] memory ids, bytes32 id) private pure returns (bool) {
        for (uint256 i = 0; i < ids.length; i++) {
            if (ids[i] == id) return true;
        }
        return false;
    }
}
