// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

// The EIP-712 structures that nodes sign, all in the one domain of NodeRegistry. Field order is part of the type
// hash, and so of the protocol.

/// @notice A candidate passed admission with this EK, AK, VRF key and peer key.
struct Admission {
    address account;
    address owner; // who the deposit goes back to; the account itself, or one that has paid into its deposit
    bytes32 peerKey;
    bytes32 ekId;
    bytes32 akX;
    bytes32 akY;
    bytes32 vrfX;
    bytes32 vrfY;
    uint8 level;
    uint64 epoch;
    string endpoint;
}

/// @notice A member is expelled; its deposit is forfeited.
struct Eviction {
    address account;
    uint64 epoch;
    bytes32 evidenceDigest;
    uint8 reason;
}

/// @notice A change of policy after hand-over; `version` is the policy version that it produces.
struct PolicyChange {
    uint64 version;
    uint8 kind;
    bytes32 digest;
    bool approved;
}

/// @notice The outcome of one epoch of random attestation.
struct EpochRecord {
    uint64 epoch;
    bytes32 seed;
    bytes32 rosterRoot;
    bytes32 attestationRoot;
    bytes32 creditRoot;
    uint32 admissions;
    uint32 evictions;
    uint64 policyVersion;
    uint64 boundaryBlock;
}

/// @notice The lowest valid draw of a task; the commitment hides who drew it until settlement.
struct Election {
    bytes32 taskId;
    uint32 attempt;
    bytes32 commitment;
}

/// @notice A finished task: opens the commitment, names who checked the executor, commits to the certificate.
struct Settlement {
    bytes32 taskId;
    uint32 attempt;
    address executor;
    bytes32 salt;
    address[] verifiers;
    bytes32 certificateDigest;
}

/// @notice A task that cannot be finished, and why.
struct TaskFailure {
    bytes32 taskId;
    uint32 attempt;
    uint8 reason;
}

/// @notice What an attestor signs when it asks a target for an attestation.
struct AttestationRequest {
    uint64 epoch;
    address attestor;
    address target;
    uint8 command;
    bytes32 nonce;
    bytes32 proofHash;
}

/// @notice The committee's judgement of a reported request.
struct DisputeVerdict {
    bytes32 disputeId;
    bool guilty;
}
