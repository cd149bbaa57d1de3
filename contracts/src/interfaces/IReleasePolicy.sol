// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @title The owner's word on who may get a capsule's key
/// @notice Key agents ask by eth_call, after they judged the executor's evidence; a policy only ever narrows.
interface IReleasePolicy {
    /// @return code 0 permits; any other value refuses, with the policy's own reason
    function check(bytes32 capsuleId, bytes32 taskId, bytes32 codeDigest, bytes32 imageDigest, address executor)
        external
        view
        returns (uint8 code);
}
