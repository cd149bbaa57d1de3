// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IPolicyRegistry} from "../src/interfaces/IPolicyRegistry.sol";
import {PolicyKind} from "../src/types/PolicyKind.sol";
import {PolicyChange} from "../src/types/Votes.sol";
import {Network} from "./utils/Network.sol";

contract PolicyRegistryTest is Network {
    bytes32 internal constant DIGEST = keccak256("release");

    function setUp() public override {
        super.setUp();
        completeGenesis();
    }

    function test_change_approvesAndWithdraws() public {
        policies.change(uint8(PolicyKind.Release), DIGEST, true);
        assertTrue(policies.approved(PolicyKind.Release, DIGEST), "approved");
        assertTrue(!policies.approved(PolicyKind.Image, DIGEST), "other kind");
        assertEq(policies.list(PolicyKind.Release).length, 1, "listed");
        policies.change(uint8(PolicyKind.Release), DIGEST, false);
        assertTrue(!policies.approved(PolicyKind.Release, DIGEST), "withdrawn");
        assertEq(policies.version(), 2, "version");
    }

    function test_change_failsForStrangersNoOpsAndNonsense() public {
        vm.prank(CREATOR);
        vm.expectRevert(abi.encodeWithSelector(IPolicyRegistry.NotGovernor.selector, CREATOR, address(this)));
        policies.change(0, DIGEST, true);
        vm.expectRevert(
            abi.encodeWithSelector(IPolicyRegistry.PolicyUnchanged.selector, PolicyKind.EkRoot, DIGEST, false)
        );
        policies.change(0, DIGEST, false);
        vm.expectRevert(abi.encodeWithSelector(IPolicyRegistry.KindUnknown.selector, 4));
        policies.change(4, DIGEST, true);
        vm.expectRevert(abi.encodeWithSelector(IPolicyRegistry.DigestZero.selector));
        policies.change(0, 0, true);
    }

    function test_change_failsIfTheListIsFull() public {
        for (uint256 i = 1; i <= policies.LIST_MAX(); i++) {
            policies.change(2, bytes32(i), true);
        }
        vm.expectRevert(abi.encodeWithSelector(IPolicyRegistry.PolicyListFull.selector, PolicyKind.Image, 256));
        policies.change(2, DIGEST, true);
        policies.change(2, bytes32(uint256(1)), false);
        policies.change(2, DIGEST, true);
    }

    function test_changeByQuorum_worksOnlyAfterHandOver() public {
        PolicyChange memory p = PolicyChange(1, 1, DIGEST, true);
        bytes[] memory signatures = sign(hasher.hash(p));
        vm.expectRevert(abi.encodeWithSelector(IPolicyRegistry.NotHandedOver.selector, address(this)));
        policies.changeByQuorum(p, signatures);
        policies.handOver();
        vm.expectRevert(abi.encodeWithSelector(IPolicyRegistry.NotGovernor.selector, address(this), address(0)));
        policies.change(1, DIGEST, true);
        policies.changeByQuorum(p, signatures);
        assertTrue(policies.approved(PolicyKind.Release, DIGEST), "approved");
    }

    function test_changeByQuorum_cannotBeReplayed() public {
        policies.handOver();
        PolicyChange memory p = PolicyChange(1, 1, DIGEST, true);
        bytes[] memory signatures = sign(hasher.hash(p));
        policies.changeByQuorum(p, signatures);
        vm.expectRevert(abi.encodeWithSelector(IPolicyRegistry.PolicyVersionMismatch.selector, 1, 2));
        policies.changeByQuorum(p, signatures);
    }
}
