// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Vm} from "./Vm.sol";

/// @notice What a forge test needs, without a library.
abstract contract Test {
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    error AssertUintFailed(string what, uint256 got, uint256 want);
    error AssertAddressFailed(string what, address got, address want);
    error AssertBytes32Failed(string what, bytes32 got, bytes32 want);
    error AssertFailed(string what);

    function assertEq(uint256 got, uint256 want, string memory what) internal pure {
        if (got != want) revert AssertUintFailed(what, got, want);
    }

    function assertEq(address got, address want, string memory what) internal pure {
        if (got != want) revert AssertAddressFailed(what, got, want);
    }

    function assertEq(bytes32 got, bytes32 want, string memory what) internal pure {
        if (got != want) revert AssertBytes32Failed(what, got, want);
    }

    function assertTrue(bool condition, string memory what) internal pure {
        if (!condition) revert AssertFailed(what);
    }

    function bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + value % (high - low + 1);
    }
}
