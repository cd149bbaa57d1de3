// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

import {ICapsuleRegistry} from "./interfaces/ICapsuleRegistry.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {ITaskEscrow} from "./interfaces/ITaskEscrow.sol";
import {FeeSplit} from "./libraries/FeeSplit.sol";
import {VoteHash} from "./libraries/VoteHash.sol";
import {NodeStatus, Standing} from "./types/NodeRecord.sol";
import {Payout, Task, TaskSpec, TaskState} from "./types/Task.sol";
import {Election, Settlement, TaskFailure} from "./types/Votes.sol";

/// @title TaskEscrow
contract TaskEscrow is ITaskEscrow, ReentrancyGuard {
    using SafeERC20 for IERC20;

    uint256 public constant CAPSULES_MAX = 16;
    uint256 public constant VERIFIERS_MAX = 32;
    uint256 public constant SPEC_BYTES_MAX = 8_192;
    uint32 public constant TIMEOUT_S_MAX = 7 days;
    uint32 public constant ATTEMPT_MAX = 5;
    uint8 public constant LEVEL_MAX = 3;
    int32 public constant CREDIT_EXECUTED = 20;
    int32 public constant CREDIT_VERIFIED = 5;

    IERC20 public immutable token;
    INodeRegistry public immutable registry;
    ICapsuleRegistry public immutable capsules;
    /// @notice How long after its time-out a task may still be settled before anyone may refund it.
    uint64 public immutable graceS;

    /// @inheritdoc ITaskEscrow
    mapping(address creator => uint256) public nonces;
    mapping(bytes32 taskId => Task) private _tasks;

    constructor(IERC20 token_, INodeRegistry registry_, ICapsuleRegistry capsules_, uint64 graceS_) {
        token = token_;
        registry = registry_;
        capsules = capsules_;
        graceS = graceS_;
        token_.forceApprove(address(registry_), type(uint256).max);
    }

    /// @inheritdoc ITaskEscrow
    function create(TaskSpec calldata s, bytes calldata spec) external nonReentrant returns (bytes32 taskId) {
        _requireWellFormed(s, spec);
        taskId = taskIdOf(msg.sender, nonces[msg.sender]++, s, spec);
        Task storage t = _tasks[taskId];
        t.creator = msg.sender;
        t.createdAt = uint64(block.timestamp);
        t.timeoutS = s.timeoutS;
        t.fee = s.fee;
        t.minCredit = s.minCredit;
        t.minLevel = s.minLevel;
        t.state = TaskState.Created;
        t.codeDigest = s.codeDigest;
        t.imageDigest = s.imageDigest;
        t.capsuleIds = s.capsuleIds;
        emit TaskCreated(taskId, msg.sender, s, spec);
        token.safeTransferFrom(msg.sender, address(this), s.fee);
    }

    /// @inheritdoc ITaskEscrow
    function commitExecutor(Election calldata e, bytes[] calldata signatures) external {
        Task storage t = _requireOpen(e.taskId);
        if (block.timestamp > deadlineS(e.taskId)) revert TaskOverdue(e.taskId, deadlineS(e.taskId));
        if (e.attempt <= t.attempt) revert AttemptNotRising(e.taskId, e.attempt, t.attempt);
        if (e.attempt > ATTEMPT_MAX) revert AttemptTooHigh(e.taskId, e.attempt, ATTEMPT_MAX);
        if (e.commitment == 0) revert TaskFieldInvalid("commitment");
        registry.requireQuorum(VoteHash.hash(e), signatures);

        t.state = TaskState.Elected;
        t.attempt = e.attempt;
        t.commitment = e.commitment;
        emit ExecutorCommitted(e.taskId, e.attempt, e.commitment);
    }

    /// @inheritdoc ITaskEscrow
    function settle(Settlement calldata s, bytes[] calldata signatures) external nonReentrant {
        Task storage t = _tasks[s.taskId];
        if (t.state != TaskState.Elected) revert TaskStateWrong(s.taskId, t.state);
        if (s.attempt != t.attempt) revert AttemptMismatch(s.taskId, s.attempt, t.attempt);
        bytes32 commitment = keccak256(abi.encode(s.taskId, s.executor, s.salt));
        if (commitment != t.commitment) revert CommitmentMismatch(s.taskId, commitment, t.commitment);
        _requireExecutor(t, s.executor);
        _requireVerifiers(s);
        registry.requireQuorum(VoteHash.hash(s), signatures);

        t.state = TaskState.Settled;
        t.executor = s.executor;
        t.certificateDigest = s.certificateDigest;
        Payout memory payout = FeeSplit.divide(t.fee, s.verifiers.length, t.capsuleIds.length);
        registry.applyCredit(s.executor, CREDIT_EXECUTED);
        _payVerifiers(s.verifiers, payout);
        _payOwners(t.capsuleIds, payout.perCapsule);
        token.safeTransfer(s.executor, payout.executor);
        if (payout.creator != 0) token.safeTransfer(t.creator, payout.creator);
        registry.fundReserve(payout.reserve);
        emit Settled(s.taskId, s.executor, s.attempt, s.salt, s.verifiers, s.certificateDigest, payout);
    }

    /// @inheritdoc ITaskEscrow
    function refund(bytes32 taskId) external nonReentrant {
        Task storage t = _requireOpen(taskId);
        if (block.timestamp <= deadlineS(taskId)) revert TaskNotOverdue(taskId, deadlineS(taskId));
        t.state = TaskState.Refunded;
        emit Refunded(taskId, t.creator, t.fee);
        token.safeTransfer(t.creator, t.fee);
    }

    /// @inheritdoc ITaskEscrow
    function fail(TaskFailure calldata f, bytes[] calldata signatures) external nonReentrant {
        Task storage t = _requireOpen(f.taskId);
        if (f.attempt < t.attempt) revert AttemptMismatch(f.taskId, f.attempt, t.attempt);
        registry.requireQuorum(VoteHash.hash(f), signatures);
        t.state = TaskState.Failed;
        t.reason = f.reason;
        emit Failed(f.taskId, t.creator, f.attempt, f.reason, t.fee);
        token.safeTransfer(t.creator, t.fee);
    }

    /// @inheritdoc ITaskEscrow
    function task(bytes32 taskId) external view returns (Task memory) {
        return _tasks[taskId];
    }

    /// @inheritdoc ITaskEscrow
    function taskIdOf(address creator, uint256 nonce, TaskSpec calldata s, bytes calldata spec)
        public
        view
        returns (bytes32)
    {
        return keccak256(
            abi.encode(block.chainid, address(this), creator, nonce, keccak256(abi.encode(s)), keccak256(spec))
        );
    }

    /// @inheritdoc ITaskEscrow
    function deadlineS(bytes32 taskId) public view returns (uint256) {
        Task storage t = _tasks[taskId];
        return uint256(t.createdAt) + t.timeoutS + graceS;
    }

    function _requireWellFormed(TaskSpec calldata s, bytes calldata spec) private view {
        if (s.codeDigest == 0) revert TaskFieldInvalid("codeDigest");
        if (s.imageDigest == 0) revert TaskFieldInvalid("imageDigest");
        if (s.timeoutS == 0 || s.timeoutS > TIMEOUT_S_MAX) revert TaskFieldInvalid("timeoutS");
        if (s.minLevel == 0 || s.minLevel > LEVEL_MAX) revert TaskFieldInvalid("minLevel");
        if (s.fee == 0) revert TaskFieldInvalid("fee");
        if (spec.length > SPEC_BYTES_MAX) revert TaskFieldInvalid("spec");
        if (s.capsuleIds.length > CAPSULES_MAX) revert TaskFieldInvalid("capsuleIds");
        for (uint256 i = 0; i < s.capsuleIds.length; i++) {
            bytes32 id = s.capsuleIds[i];
            if (capsules.ownerOf(id) == address(0)) revert CapsuleNotRegistered(id);
            // Order carries meaning (it is the order of arguments), so the list cannot be asked to rise.
            for (uint256 j = 0; j < i; j++) {
                if (s.capsuleIds[j] == id) revert CapsuleNamedTwice(id);
            }
        }
    }

    function _requireOpen(bytes32 taskId) private view returns (Task storage t) {
        t = _tasks[taskId];
        if (t.state != TaskState.Created && t.state != TaskState.Elected) revert TaskStateWrong(taskId, t.state);
    }

    function _requireExecutor(Task storage t, address executor) private view {
        Standing memory standing = registry.standing(executor);
        if (standing.status != NodeStatus.Active) revert ExecutorNotActive(executor, standing.status);
        if (standing.level < t.minLevel) revert ExecutorLevelTooLow(executor, standing.level, t.minLevel);
        if (standing.credit < t.minCredit) revert ExecutorCreditTooLow(executor, standing.credit, t.minCredit);
        if (standing.deposit < t.fee) revert ExecutorDepositTooLow(executor, standing.deposit, t.fee);
    }

    function _requireVerifiers(Settlement calldata s) private pure {
        uint256 count = s.verifiers.length;
        if (count == 0 || count > VERIFIERS_MAX) revert VerifierCountInvalid(count, VERIFIERS_MAX);
        address previous = address(0);
        for (uint256 i = 0; i < count; i++) {
            address verifier = s.verifiers[i];
            if (verifier <= previous) revert VerifiersNotRising(previous, verifier);
            if (verifier == s.executor) revert VerifierIsExecutor(verifier);
            previous = verifier;
        }
    }

    function _payVerifiers(address[] calldata verifiers, Payout memory payout) private {
        for (uint256 i = 0; i < verifiers.length; i++) {
            if (registry.isActive(verifiers[i])) {
                registry.applyCredit(verifiers[i], CREDIT_VERIFIED);
                token.safeTransfer(verifiers[i], payout.perVerifier);
            } else {
                payout.reserve += payout.perVerifier;
            }
        }
    }

    function _payOwners(bytes32[] memory capsuleIds, uint128 perCapsule) private {
        for (uint256 i = 0; i < capsuleIds.length; i++) {
            token.safeTransfer(capsules.ownerOf(capsuleIds[i]), perCapsule);
        }
    }
}
