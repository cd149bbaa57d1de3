// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The credit formula
/// @notice The same rules as packages/membership/src/credit.ts, standing.ts and owner-cap.ts [MEMB-7] [MEMB-8]; vectors/credit/formula.json
/// holds both to one truth. The registry applies weights, rewards and faults; what an epoch does to credit reaches it
/// under the quorum's credit root, and anybody may redo it by these functions.
library Credit {
    uint32 internal constant MAX = 10_000;
    uint32 internal constant GENESIS = 100;
    uint32 internal constant NEWCOMER = 1;
    uint32 internal constant DRAW_MIN = 1;
    uint32 internal constant ATTESTING_MAX = 5;
    uint256 internal constant OWNER_SHARES = 10;
    uint256 internal constant NO_CAP = 2 ** 53 - 1;

    /// @dev How the jury that was seated for a member left it.
    enum Standing {
        Unasked,
        Absent,
        Contested,
        Passed
    }

    /// @dev Concave, so that age counts less and less; a member never weighs less than 1.
    function weightOf(uint32 credit) internal pure returns (uint32) {
        return uint32(Math.max(1, Math.sqrt(credit)));
    }

    /// @dev A thousandth of what is missing, at least 1: growth saturates.
    function afterPass(uint32 credit) internal pure returns (uint32) {
        return _atMost(credit + uint32(Math.max(1, (MAX - credit) / 1_000)));
    }

    /// @dev One per cent, at least 1, and never the right to draw.
    function afterAbsence(uint32 credit) internal pure returns (uint32) {
        return _cut(credit, uint32(Math.max(1, credit / 100)));
    }

    function afterAttesting(uint32 credit, uint32 agreed) internal pure returns (uint32) {
        return _atMost(credit + uint32(Math.min(ATTESTING_MAX, agreed)));
    }

    function afterNeglect(uint32 credit, uint32 neglected) internal pure returns (uint32) {
        return _cut(credit, uint32(Math.min(ATTESTING_MAX, neglected)));
    }

    function afterFault(uint32) internal pure returns (uint32) {
        return 0;
    }

    function afterMissedUpdate(uint32 credit) internal pure returns (uint32) {
        return uint32(Math.min(credit, DRAW_MIN - 1));
    }

    /// @dev Adds what was earned, or takes what was lost, within the bounds.
    function afterDelta(uint32 credit, int32 delta) internal pure returns (uint32) {
        int256 sum = int256(uint256(credit)) + delta;
        if (sum < 0) return 0;
        return sum > int256(uint256(MAX)) ? MAX : uint32(uint256(sum));
    }

    function standingOf(uint256 affirming, uint256 seated) internal pure returns (Standing) {
        if (seated == 0) return Standing.Unasked;
        if (affirming * 2 > seated) return Standing.Passed;
        return affirming == 0 ? Standing.Absent : Standing.Contested;
    }

    function afterEpoch(uint32 credit, Standing standing, bool isSilent, uint32 agreed, uint32 neglected)
        internal
        pure
        returns (uint32)
    {
        bool isAbsent = standing == Standing.Absent || isSilent || neglected > agreed;
        if (neglected > 0) return afterNeglect(isAbsent ? afterAbsence(credit) : credit, neglected);
        if (isAbsent) credit = afterAbsence(credit);
        else if (standing == Standing.Passed) credit = afterPass(credit);
        return afterAttesting(credit, agreed);
    }

    /// @dev Cuts owners to the cap, but not below their heaviest member, and their members in proportion; what rounding
    /// leaves goes to the first of them.
    function capByOwner(address[] memory owners, uint256[] memory weights)
        internal
        pure
        returns (uint256[] memory capped)
    {
        uint256[] memory totals = _totalsOf(owners, weights);
        uint256[] memory limits = _limitsOf(owners, weights, ownerCap(_firstOf(owners, totals)));
        capped = new uint256[](owners.length);
        for (uint256 i = 0; i < owners.length; i++) {
            capped[i] = totals[i] <= limits[i] ? weights[i] : weights[i] * limits[i] / totals[i];
        }
        uint256[] memory sums = _totalsOf(owners, capped);
        for (uint256 i = 0; i < owners.length; i++) {
            if (sums[i] >= Math.min(limits[i], totals[i])) continue;
            capped[i]++;
            for (uint256 j = i + 1; j < owners.length; j++) {
                if (owners[j] == owners[i]) sums[j]++;
            }
        }
    }

    /// @dev The largest whole number that is no more than a tenth of what all owners weigh under it. Zeros are no owners.
    function ownerCap(uint256[] memory owners) internal pure returns (uint256) {
        uint256 count = _sort(owners);
        if (count < OWNER_SHARES) return NO_CAP;
        uint256 below = 0;
        uint256 first = owners.length - count;
        for (uint256 i = 0; i < count; i++) {
            uint256 left = count - i;
            uint256 cap = left < OWNER_SHARES ? below / (OWNER_SHARES - left) : NO_CAP;
            if (cap < owners[first + i]) return cap;
            below += owners[first + i];
        }
        return NO_CAP;
    }

    function _atMost(uint32 credit) private pure returns (uint32) {
        return credit > MAX ? MAX : credit;
    }

    /// @dev Time alone never takes the right to draw: that needs a proven fault.
    function _cut(uint32 credit, uint32 loss) private pure returns (uint32) {
        uint32 least = credit < DRAW_MIN ? credit : DRAW_MIN;
        return credit > least + loss ? credit - loss : least;
    }

    /// @dev What the owner of each member weighs in all.
    function _totalsOf(address[] memory owners, uint256[] memory weights)
        private
        pure
        returns (uint256[] memory totals)
    {
        totals = new uint256[](owners.length);
        for (uint256 i = 0; i < owners.length; i++) {
            for (uint256 j = 0; j < owners.length; j++) {
                if (owners[j] == owners[i]) totals[i] += weights[j];
            }
        }
    }

    /// @dev What the owner of each member may weigh: the cap, or as much as the heaviest member it has.
    function _limitsOf(address[] memory owners, uint256[] memory weights, uint256 cap)
        private
        pure
        returns (uint256[] memory limits)
    {
        limits = new uint256[](owners.length);
        for (uint256 i = 0; i < owners.length; i++) {
            limits[i] = cap;
            for (uint256 j = 0; j < owners.length; j++) {
                if (owners[j] == owners[i]) limits[i] = Math.max(limits[i], weights[j]);
            }
        }
    }

    /// @dev Each owner's total once, where its first member stands; zeros elsewhere.
    function _firstOf(address[] memory owners, uint256[] memory totals) private pure returns (uint256[] memory firsts) {
        firsts = new uint256[](owners.length);
        for (uint256 i = 0; i < owners.length; i++) {
            bool isFirst = true;
            for (uint256 j = 0; j < i && isFirst; j++) {
                isFirst = owners[j] != owners[i];
            }
            if (isFirst) firsts[i] = totals[i];
        }
    }

    /// @dev Sorts in place, rising, and counts what is not zero.
    function _sort(uint256[] memory values) private pure returns (uint256 count) {
        for (uint256 i = 0; i < values.length; i++) {
            uint256 value = values[i];
            if (value != 0) count++;
            uint256 j = i;
            for (; j > 0 && values[j - 1] > value; j--) {
                values[j] = values[j - 1];
            }
            values[j] = value;
        }
    }
}
