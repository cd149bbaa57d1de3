// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {Payout} from "../types/Task.sol";

/// @title How a settled fee is divided
/// @notice Executor 50 %, verifiers 20 % in equal shares, capsule owners 25 % in equal shares per capsule, reserve 5 %
/// and every unit that rounding leaves: executor + verifiers + owners + creator + reserve is the fee, exactly.
library FeeSplit {
    uint256 internal constant EXECUTOR_BPS = 5_000;
    uint256 internal constant VERIFIERS_BPS = 2_000;
    uint256 internal constant OWNERS_BPS = 2_500;

    /// @param verifierCount at least one
    /// @param capsuleCount with none, the owners' share goes back to the creator
    function divide(uint128 fee, uint256 verifierCount, uint256 capsuleCount)
        internal
        pure
        returns (Payout memory payout)
    {
        payout.executor = _share(fee, EXECUTOR_BPS);
        payout.perVerifier = uint128(_share(fee, VERIFIERS_BPS) / verifierCount);
        uint128 owners = _share(fee, OWNERS_BPS);
        if (capsuleCount == 0) payout.creator = owners;
        else payout.perCapsule = uint128(owners / capsuleCount);
        payout.reserve = uint128(
            fee - payout.executor - payout.creator - payout.perVerifier * verifierCount
                - payout.perCapsule * capsuleCount
        );
    }

    function _share(uint128 fee, uint256 bps) private pure returns (uint128) {
        return uint128(Math.mulDiv(fee, bps, 10_000));
    }
}
