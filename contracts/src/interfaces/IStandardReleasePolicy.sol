// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IReleasePolicy} from "./IReleasePolicy.sol";

/// @notice One capsule may be opened by one code in one image, on good enough nodes, until a date.
struct ReleaseRule {
    bytes32 codeDigest;
    bytes32 imageDigest;
    uint32 minCredit;
    uint8 minLevel;
    uint64 expiry; // unix seconds; zero means there is no rule
}

/// @title A release policy of one rule per capsule
interface IStandardReleasePolicy is IReleasePolicy {
    error NotOwnerOfCapsule(bytes32 capsuleId, address caller, address owner);
    error RuleExpiryPast(uint64 expiry, uint256 nowS);
    error RuleFieldInvalid(string field);

    event RuleSet(bytes32 indexed capsuleId, ReleaseRule rule);
    event RuleWithdrawn(bytes32 indexed capsuleId);

    /// @notice Sets or replaces the rule; only the capsule's owner.
    function setRule(bytes32 capsuleId, ReleaseRule calldata rule) external;

    /// @notice From now on nobody gets the key; only the capsule's owner.
    function withdrawRule(bytes32 capsuleId) external;

    function ruleOf(bytes32 capsuleId) external view returns (ReleaseRule memory);
}
