// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";

import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IPolicyRegistry} from "./interfaces/IPolicyRegistry.sol";
import {VoteHash} from "./libraries/VoteHash.sol";
import {PolicyKind} from "./types/PolicyKind.sol";
import {PolicyChange} from "./types/Votes.sol";

/// @title PolicyRegistry
contract PolicyRegistry is IPolicyRegistry {
    using EnumerableSet for EnumerableSet.Bytes32Set;

    uint256 public constant LIST_MAX = 256;

    INodeRegistry public immutable registry;
    /// @inheritdoc IPolicyRegistry
    address public governor;
    /// @inheritdoc IPolicyRegistry
    uint64 public version;

    mapping(PolicyKind kind => EnumerableSet.Bytes32Set) private _digests;

    constructor(INodeRegistry registry_, address governor_) {
        registry = registry_;
        governor = governor_;
    }

    modifier onlyGovernor() {
        if (msg.sender != governor) revert NotGovernor(msg.sender, governor);
        _;
    }

    /// @inheritdoc IPolicyRegistry
    function change(uint8 kind, bytes32 digest, bool ok) external onlyGovernor {
        _change(kind, digest, ok);
    }

    /// @inheritdoc IPolicyRegistry
    function handOver() external onlyGovernor {
        emit HandedOver(governor, version);
        governor = address(0);
    }

    /// @inheritdoc IPolicyRegistry
    function changeByQuorum(PolicyChange calldata p, bytes[] calldata signatures) external {
        if (governor != address(0)) revert NotHandedOver(governor);
        if (p.version != version + 1) revert PolicyVersionMismatch(p.version, version + 1);
        registry.requireQuorum(VoteHash.hash(p), signatures);
        _change(p.kind, p.digest, p.approved);
    }

    /// @inheritdoc IPolicyRegistry
    function approved(PolicyKind kind, bytes32 digest) external view returns (bool) {
        return _digests[kind].contains(digest);
    }

    /// @inheritdoc IPolicyRegistry
    function list(PolicyKind kind) external view returns (bytes32[] memory) {
        return _digests[kind].values();
    }

    function _change(uint8 kindNumber, bytes32 digest, bool ok) private {
        if (kindNumber > uint8(type(PolicyKind).max)) revert KindUnknown(kindNumber);
        if (digest == 0) revert DigestZero();
        PolicyKind kind = PolicyKind(kindNumber);
        EnumerableSet.Bytes32Set storage digests = _digests[kind];
        if (ok && digests.length() == LIST_MAX) revert PolicyListFull(kind, LIST_MAX);
        bool changed = ok ? digests.add(digest) : digests.remove(digest);
        if (!changed) revert PolicyUnchanged(kind, digest, ok);
        version++;
        emit PolicyChanged(version, kind, digest, ok);
    }
}
