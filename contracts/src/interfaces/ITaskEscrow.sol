// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {NodeStatus} from "../types/NodeRecord.sol";
import {Payout, Task, TaskSpec, TaskState} from "../types/Task.sol";
import {Election, Settlement, TaskFailure} from "../types/Votes.sol";

/// @title Fees of tasks: held, divided on a quorum's word, returned when time is up
interface ITaskEscrow {
    error TaskFieldInvalid(string field);
    error CapsuleNotRegistered(bytes32 capsuleId);
    error CapsuleNamedTwice(bytes32 capsuleId);
    error TaskStateWrong(bytes32 taskId, TaskState state);
    error TaskOverdue(bytes32 taskId, uint256 deadlineS);
    error TaskNotOverdue(bytes32 taskId, uint256 deadlineS);
    error AttemptNotRising(bytes32 taskId, uint32 attempt, uint32 attemptBefore);
    error AttemptTooHigh(bytes32 taskId, uint32 attempt, uint32 attemptMax);
    error AttemptMismatch(bytes32 taskId, uint32 attempt, uint32 want);
    error CommitmentMismatch(bytes32 taskId, bytes32 commitment, bytes32 want);
    error ExecutorNotActive(address executor, NodeStatus status);
    error ExecutorLevelTooLow(address executor, uint8 level, uint8 minLevel);
    error ExecutorCreditTooLow(address executor, uint32 credit, uint32 minCredit);
    /// @notice A task may not be worth more than its executor has to lose.
    error ExecutorDepositTooLow(address executor, uint128 deposit, uint128 fee);
    error VerifierCountInvalid(uint256 count, uint256 countMax);
    error VerifiersNotRising(address previous, address verifier);
    error VerifierIsExecutor(address executor);

    event TaskCreated(bytes32 indexed taskId, address indexed creator, TaskSpec s, bytes spec);
    event ExecutorCommitted(bytes32 indexed taskId, uint32 indexed attempt, bytes32 commitment);
    event Settled(
        bytes32 indexed taskId,
        address indexed executor,
        uint32 attempt,
        bytes32 salt,
        address[] verifiers,
        bytes32 certificateDigest,
        Payout payout
    );
    event Refunded(bytes32 indexed taskId, address indexed creator, uint128 amount);
    event Failed(bytes32 indexed taskId, address indexed creator, uint32 attempt, uint8 reason, uint128 amount);

    /// @notice Opens a task and takes its fee.
    /// @param spec dag-cbor with locators, receivers and limits; opaque here, public in the event
    /// @return taskId keccak256(abi.encode(chainid, this, creator, nonce, keccak256(abi.encode(s)), keccak256(spec)))
    function create(TaskSpec calldata s, bytes calldata spec) external returns (bytes32 taskId);

    /// @notice Records a blinded executor, keccak256(abi.encode(taskId, executor, salt)). Attempts count from 1; a
    /// higher attempt replaces a lower one (re-draw).
    function commitExecutor(Election calldata e, bytes[] calldata signatures) external;

    /// @notice Reveals the executor, divides the fee, moves credit. An inactive verifier's share falls to the reserve.
    function settle(Settlement calldata s, bytes[] calldata signatures) external;

    /// @notice Returns the fee to the creator after the deadline. Anyone may call it.
    function refund(bytes32 taskId) external;

    /// @notice Returns the fee at once, with the reason on record. The attempt must not be older than the current one.
    function fail(TaskFailure calldata f, bytes[] calldata signatures) external;

    /// @notice All zero (state None) for an unknown task.
    function task(bytes32 taskId) external view returns (Task memory);

    /// @notice The id that the creator's task would get with this nonce.
    function taskIdOf(address creator, uint256 nonce, TaskSpec calldata s, bytes calldata spec)
        external
        view
        returns (bytes32);

    /// @notice The nonce of the account's next task.
    function nonces(address creator) external view returns (uint256);

    /// @notice createdAt + timeoutS + graceS, in unix seconds.
    function deadlineS(bytes32 taskId) external view returns (uint256);
}
