// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

enum TaskState {
    None,
    Created,
    Elected,
    Settled,
    Refunded,
    Failed
}

/// @notice What a task asks for, as far as layer 1 has to judge it; all else is in the opaque `spec`.
struct TaskSpec {
    bytes32 codeDigest;
    bytes32 imageDigest;
    bytes32[] capsuleIds;
    uint32 timeoutS;
    uint8 minLevel;
    uint32 minCredit;
    uint128 fee;
}

struct Task {
    address creator;
    uint64 createdAt; // unix seconds
    uint32 timeoutS;
    uint128 fee;
    uint32 minCredit;
    uint32 attempt;
    uint8 minLevel;
    TaskState state;
    uint8 reason; // of a failure
    bytes32 codeDigest;
    bytes32 imageDigest;
    bytes32 commitment;
    bytes32 certificateDigest;
    address executor; // revealed by settlement
    bytes32[] capsuleIds;
}

/// @notice How a fee was divided; the parts, counted with their receivers, sum to the fee.
struct Payout {
    uint128 executor;
    uint128 perVerifier;
    uint128 perCapsule;
    uint128 reserve; // its own share, shares of inactive verifiers, rounding dust
    uint128 creator; // the owners' share when the task used no capsule
}
