// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {VoteHash} from "../../src/libraries/VoteHash.sol";
import {
    Admission,
    AttestationRequest,
    DisputeVerdict,
    Election,
    EpochRecord,
    Eviction,
    PolicyChange,
    Settlement,
    TaskFailure
} from "../../src/types/Votes.sol";

/// @notice Turns votes in memory into votes in calldata, which is what VoteHash reads.
contract VoteHasher {
    function hash(Admission calldata v) external pure returns (bytes32) {
        return VoteHash.hash(v);
    }

    function hash(Eviction calldata v) external pure returns (bytes32) {
        return VoteHash.hash(v);
    }

    function hash(PolicyChange calldata v) external pure returns (bytes32) {
        return VoteHash.hash(v);
    }

    function hash(EpochRecord calldata v) external pure returns (bytes32) {
        return VoteHash.hash(v);
    }

    function hash(Election calldata v) external pure returns (bytes32) {
        return VoteHash.hash(v);
    }

    function hash(Settlement calldata v) external pure returns (bytes32) {
        return VoteHash.hash(v);
    }

    function hash(TaskFailure calldata v) external pure returns (bytes32) {
        return VoteHash.hash(v);
    }

    function hash(AttestationRequest calldata v) external pure returns (bytes32) {
        return VoteHash.hash(v);
    }

    function hash(DisputeVerdict calldata v) external pure returns (bytes32) {
        return VoteHash.hash(v);
    }
}
