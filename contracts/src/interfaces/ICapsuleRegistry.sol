// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @notice What layer 1 knows of a capsule. Nothing here reveals its content.
struct Capsule {
    address owner;
    uint64 registeredAt; // unix seconds
    address policy; // an IReleasePolicy
    bytes32 payloadHash;
    bytes32 receiverKey; // X25519, the owner's key for results
    bytes cid; // where the sealed bytes are
    string agent; // multiaddr of the owner's key agent
}

/// @title Where capsules are, whose they are, and which policy releases their keys
interface ICapsuleRegistry {
    error CapsuleExists(bytes32 capsuleId, address owner);
    error CapsuleUnknown(bytes32 capsuleId);
    error NotCapsuleOwner(bytes32 capsuleId, address caller, address owner);
    error CapsuleFieldInvalid(string field);

    event CapsuleRegistered(bytes32 indexed capsuleId, address indexed owner, Capsule capsule);
    event AgentUpdated(bytes32 indexed capsuleId, string agent);

    /// @notice Registers a capsule under its header hash; the caller becomes its owner.
    /// @dev The header commits to the owner's account, so whoever squats on an id holds a record that contradicts its
    /// header: readers must compare both. The true owner seals again and gets another id.
    function register(
        bytes32 capsuleId,
        bytes calldata cid,
        bytes32 payloadHash,
        address policy,
        bytes32 receiverKey,
        string calldata agent
    ) external;

    /// @notice Moves the owner's key agent to another address.
    function updateAgent(bytes32 capsuleId, string calldata agent) external;

    function capsule(bytes32 capsuleId) external view returns (Capsule memory);

    /// @notice Zero for an unknown capsule.
    function ownerOf(bytes32 capsuleId) external view returns (address);
}
