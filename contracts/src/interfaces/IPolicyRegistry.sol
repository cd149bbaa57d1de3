// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {PolicyKind} from "../types/PolicyKind.sol";
import {PolicyChange} from "../types/Votes.sol";

/// @title Which EK roots, releases, images and code the network accepts
interface IPolicyRegistry {
    error NotGovernor(address caller, address governor);
    error NotHandedOver(address governor);
    error KindUnknown(uint8 kind);
    error DigestZero();
    /// @notice The digest already is what the change would make it.
    error PolicyUnchanged(PolicyKind kind, bytes32 digest, bool approved);
    error PolicyVersionMismatch(uint64 version, uint64 want);
    error PolicyListFull(PolicyKind kind, uint256 sizeMax);

    event PolicyChanged(uint64 indexed version, PolicyKind indexed kind, bytes32 indexed digest, bool approved);
    event HandedOver(address governor, uint64 version);

    /// @notice Changes the policy by the governor's word; only until hand-over.
    function change(uint8 kind, bytes32 digest, bool ok) external;

    /// @notice Ends the governor's power for ever; from now on only a quorum changes the policy.
    function handOver() external;

    /// @notice Changes the policy on a quorum certificate; only after hand-over.
    function changeByQuorum(PolicyChange calldata p, bytes[] calldata signatures) external;

    function approved(PolicyKind kind, bytes32 digest) external view returns (bool);

    /// @notice Rises by one with every change.
    function version() external view returns (uint64);

    /// @notice Zero after hand-over.
    function governor() external view returns (address);

    /// @notice Every approved digest of a kind; at most LIST_MAX, in no order.
    function list(PolicyKind kind) external view returns (bytes32[] memory);
}
