// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Capsule, ICapsuleRegistry} from "./interfaces/ICapsuleRegistry.sol";

/// @title CapsuleRegistry
contract CapsuleRegistry is ICapsuleRegistry {
    uint256 public constant CID_BYTES_MAX = 128;
    uint256 public constant AGENT_BYTES_MAX = 512;

    mapping(bytes32 capsuleId => Capsule) private _capsules;

    /// @inheritdoc ICapsuleRegistry
    function register(
        bytes32 capsuleId,
        bytes calldata cid,
        bytes32 payloadHash,
        address policy,
        bytes32 receiverKey,
        string calldata agent
    ) external {
        if (capsuleId == 0) revert CapsuleFieldInvalid("capsuleId");
        if (cid.length == 0 || cid.length > CID_BYTES_MAX) revert CapsuleFieldInvalid("cid");
        if (payloadHash == 0) revert CapsuleFieldInvalid("payloadHash");
        if (policy.code.length == 0) revert CapsuleFieldInvalid("policy");
        if (receiverKey == 0) revert CapsuleFieldInvalid("receiverKey");
        _requireAgent(agent);
        Capsule storage c = _capsules[capsuleId];
        if (c.owner != address(0)) revert CapsuleExists(capsuleId, c.owner);

        c.owner = msg.sender;
        c.registeredAt = uint64(block.timestamp);
        c.policy = policy;
        c.payloadHash = payloadHash;
        c.receiverKey = receiverKey;
        c.cid = cid;
        c.agent = agent;
        emit CapsuleRegistered(capsuleId, msg.sender, c);
    }

    /// @inheritdoc ICapsuleRegistry
    function updateAgent(bytes32 capsuleId, string calldata agent) external {
        Capsule storage c = _requireKnown(capsuleId);
        if (msg.sender != c.owner) revert NotCapsuleOwner(capsuleId, msg.sender, c.owner);
        _requireAgent(agent);
        c.agent = agent;
        emit AgentUpdated(capsuleId, agent);
    }

    /// @inheritdoc ICapsuleRegistry
    function capsule(bytes32 capsuleId) external view returns (Capsule memory) {
        return _requireKnown(capsuleId);
    }

    /// @inheritdoc ICapsuleRegistry
    function ownerOf(bytes32 capsuleId) external view returns (address) {
        return _capsules[capsuleId].owner;
    }

    function _requireKnown(bytes32 capsuleId) private view returns (Capsule storage c) {
        c = _capsules[capsuleId];
        if (c.owner == address(0)) revert CapsuleUnknown(capsuleId);
    }

    function _requireAgent(string calldata agent) private pure {
        uint256 length = bytes(agent).length;
        if (length == 0 || length > AGENT_BYTES_MAX) revert CapsuleFieldInvalid("agent");
    }
}
