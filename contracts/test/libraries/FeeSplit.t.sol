// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {FeeSplit} from "../../src/libraries/FeeSplit.sol";
import {Payout} from "../../src/types/Task.sol";
import {Test} from "../utils/Test.sol";

contract FeeSplitTest is Test {
    function test_divide_namesEveryShare() public pure {
        Payout memory p = FeeSplit.divide(1_000, 3, 2);
        assertEq(p.executor, 500, "executor");
        assertEq(p.perVerifier, 66, "verifier");
        assertEq(p.perCapsule, 125, "capsule");
        assertEq(p.reserve, 52, "reserve with dust");
        assertEq(p.creator, 0, "creator");
    }

    function test_divide_returnsTheOwnersShareIfNoCapsuleIsUsed() public pure {
        Payout memory p = FeeSplit.divide(1_000, 1, 0);
        assertEq(p.creator, 250, "creator");
        assertEq(p.perCapsule, 0, "capsule");
    }

    function testFuzz_divide_losesNothing(uint128 fee, uint256 verifiers, uint256 capsules) public pure {
        verifiers = bound(verifiers, 1, 32);
        capsules = bound(capsules, 0, 16);
        Payout memory p = FeeSplit.divide(fee, verifiers, capsules);
        uint256 sum = uint256(p.executor) + uint256(p.perVerifier) * verifiers + uint256(p.perCapsule) * capsules
            + p.reserve + p.creator;
        assertEq(sum, fee, "sum");
        assertTrue(p.reserve >= uint256(fee) * 500 / 10_000, "reserve share");
    }
}
