// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title What a proven fault takes from a deposit
/// @notice Half of it, and half of that goes to whoever reported the fault; the rest, with what rounding leaves, to the reserve.
library Forfeit {
    uint256 internal constant SLASH_BPS = 5_000;
    uint256 internal constant REWARD_BPS = 5_000;

    function divide(uint128 deposit) internal pure returns (uint128 forfeited, uint128 reward) {
        forfeited = uint128(Math.mulDiv(deposit, SLASH_BPS, 10_000));
        reward = uint128(Math.mulDiv(forfeited, REWARD_BPS, 10_000));
    }
}
