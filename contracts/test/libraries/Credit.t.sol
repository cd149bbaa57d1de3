// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {Credit} from "../../src/libraries/Credit.sol";
import {FeeSplit} from "../../src/libraries/FeeSplit.sol";
import {Forfeit} from "../../src/libraries/Forfeit.sol";
import {Payout} from "../../src/types/Task.sol";
import {Test} from "../utils/Test.sol";

/// @notice The formula, held to the vectors that the TypeScript is held to, and to what is true for every input.
contract CreditTest is Test {
    string internal json;

    function setUp() public {
        json = vm.readFile("../vectors/credit/formula.json");
    }

    function test_rules_agreeWithTheSharedVectors() public view {
        uint256 count = 0;
        for (; vm.keyExistsJson(json, _at("rules", count, "")); count++) {
            uint32 credit = uint32(_uint("rules", count, ".credit"));
            assertEq(Credit.afterPass(credit), _uint("rules", count, ".pass"), "pass");
            assertEq(Credit.afterAbsence(credit), _uint("rules", count, ".absence"), "absence");
            assertEq(Credit.afterAttesting(credit, 3), _uint("rules", count, ".attesting3"), "attesting 3");
            assertEq(Credit.afterAttesting(credit, 9), _uint("rules", count, ".attesting9"), "attesting 9");
            assertEq(Credit.afterNeglect(credit, 3), _uint("rules", count, ".neglect3"), "neglect 3");
            assertEq(Credit.afterNeglect(credit, 9), _uint("rules", count, ".neglect9"), "neglect 9");
            assertEq(Credit.afterFault(credit), _uint("rules", count, ".fault"), "fault");
            assertEq(Credit.afterMissedUpdate(credit), _uint("rules", count, ".missedUpdate"), "missed update");
            assertEq(Credit.afterDelta(credit, 20), _uint("rules", count, ".plus20"), "plus");
            assertEq(Credit.afterDelta(credit, -20), _uint("rules", count, ".minus20"), "minus");
            assertEq(Credit.weightOf(credit), _uint("rules", count, ".weight"), "weight");
        }
        assertTrue(count > 30, "vectors found");
    }

    function test_epochs_agreeWithTheSharedVectors() public view {
        uint256 count = 0;
        for (; vm.keyExistsJson(json, _at("epochs", count, "")); count++) {
            Credit.Standing standing =
                Credit.standingOf(_uint("epochs", count, ".affirming"), _uint("epochs", count, ".seated"));
            uint32 credit = Credit.afterEpoch(
                uint32(_uint("epochs", count, ".credit")),
                standing,
                _uint("epochs", count, ".silent") == 1,
                uint32(_uint("epochs", count, ".agreed")),
                uint32(_uint("epochs", count, ".neglected"))
            );
            assertEq(credit, _uint("epochs", count, ".after"), "credit");
        }
        assertTrue(count > 100, "vectors found");
    }

    function test_capByOwner_agreesWithTheSharedVectors() public view {
        uint256 count = 0;
        for (; vm.keyExistsJson(json, _at("caps", count, "")); count++) {
            (address[] memory owners, uint256[] memory weights, uint256[] memory want) = _cap(count);
            uint256[] memory capped = Credit.capByOwner(owners, weights);
            for (uint256 i = 0; i < want.length; i++) {
                assertEq(capped[i], want[i], "capped");
            }
        }
        assertTrue(count > 5, "vectors found");
    }

    function test_fees_agreeWithTheSharedVectors() public view {
        uint256 count = 0;
        for (; vm.keyExistsJson(json, _at("fees", count, "")); count++) {
            Payout memory p = FeeSplit.divide(
                uint128(_uint("fees", count, ".fee")),
                _uint("fees", count, ".verifiers"),
                _uint("fees", count, ".capsules")
            );
            assertEq(p.executor, _uint("fees", count, ".executor"), "executor");
            assertEq(p.perVerifier, _uint("fees", count, ".perVerifier"), "verifier");
            assertEq(p.perCapsule, _uint("fees", count, ".perCapsule"), "capsule");
            assertEq(p.creator, _uint("fees", count, ".creator"), "creator");
            assertEq(p.reserve, _uint("fees", count, ".reserve"), "reserve");
        }
        assertTrue(count > 20, "vectors found");
    }

    function test_slashes_agreeWithTheSharedVectors() public view {
        uint256 count = 0;
        for (; vm.keyExistsJson(json, _at("slashes", count, "")); count++) {
            (uint128 forfeited, uint128 reward) = Forfeit.divide(uint128(_uint("slashes", count, ".deposit")));
            assertEq(forfeited, _uint("slashes", count, ".forfeited"), "forfeited");
            assertEq(reward, _uint("slashes", count, ".reward"), "reward");
            assertEq(forfeited - reward, _uint("slashes", count, ".reserve"), "reserve");
        }
        assertTrue(count > 10, "vectors found");
    }

    function testFuzz_afterEpoch_staysWithinTheBounds(
        uint32 credit,
        uint8 affirming,
        uint8 seated,
        bool isSilent,
        uint8 agreed,
        uint8 neglected
    ) public pure {
        credit = uint32(bound(credit, 0, Credit.MAX));
        Credit.Standing standing = Credit.standingOf(affirming, seated);
        uint32 got = Credit.afterEpoch(credit, standing, isSilent, agreed, neglected);
        assertTrue(got <= Credit.MAX, "above the cap");
        assertTrue(got >= (credit < Credit.DRAW_MIN ? credit : Credit.DRAW_MIN), "time takes no right to draw");
        assertTrue(got <= uint256(credit) + 15, "grows slowly");
    }

    function testFuzz_capByOwner_keepsEveryOwnerAtATenthOrItsHeaviestMember(uint256 seed) public pure {
        uint256 members = 10 + seed % 20;
        address[] memory owners = new address[](members);
        uint256[] memory weights = new uint256[](members);
        for (uint256 i = 0; i < members; i++) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            owners[i] = address(uint160(i < 10 ? i + 1 : 1 + random % 12));
            weights[i] = 1 + (random >> 128) % 100;
        }
        uint256[] memory capped = Credit.capByOwner(owners, weights);
        uint256 total = 0;
        for (uint256 i = 0; i < members; i++) {
            assertTrue(capped[i] <= weights[i], "cut, never raised");
            total += capped[i];
        }
        for (uint256 i = 0; i < members; i++) {
            uint256 sum = 0;
            uint256 heaviest = 0;
            for (uint256 j = 0; j < members; j++) {
                if (owners[j] != owners[i]) continue;
                sum += capped[j];
                heaviest = Math.max(heaviest, weights[j]);
            }
            assertTrue(sum * 10 <= total || sum == heaviest, "more than a tenth");
        }
    }

    function _cap(uint256 index)
        private
        view
        returns (address[] memory owners, uint256[] memory weights, uint256[] memory want)
    {
        uint256 count = _uint("caps", index, ".count");
        owners = new address[](count);
        weights = new uint256[](count);
        want = new uint256[](count);
        for (uint256 i = 0; i < count; i++) {
            string memory member = string.concat(_at("caps", index, ".members["), vm.toString(i), "]");
            owners[i] = address(uint160(vm.parseJsonUint(json, string.concat(member, ".owner"))));
            weights[i] = vm.parseJsonUint(json, string.concat(member, ".weight"));
            want[i] = vm.parseJsonUint(json, string.concat(member, ".capped"));
        }
    }

    function _uint(string memory list, uint256 index, string memory field) private view returns (uint256) {
        return vm.parseJsonUint(json, _at(list, index, field));
    }

    function _at(string memory list, uint256 index, string memory field) private pure returns (string memory) {
        return string.concat(".", list, "[", vm.toString(index), "]", field);
    }
}
