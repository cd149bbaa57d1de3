// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Capsule, ICapsuleRegistry} from "../src/interfaces/ICapsuleRegistry.sol";
import {Network} from "./utils/Network.sol";

contract CapsuleRegistryTest is Network {
    function test_register_recordsTheCallerAsOwner() public {
        registerCapsule(CAPSULE_B, OWNER_B);
        Capsule memory c = capsules.capsule(CAPSULE_B);
        assertEq(c.owner, OWNER_B, "owner");
        assertEq(c.policy, address(policy), "policy");
        assertEq(c.payloadHash, keccak256("payload"), "payloadHash");
        assertEq(c.receiverKey, keccak256("receiver"), "receiverKey");
        assertEq(keccak256(c.cid), keccak256(hex"01551220"), "cid");
        assertEq(keccak256(bytes(c.agent)), keccak256("/ip4/1.2.3.4"), "agent");
    }

    function test_register_failsIfTheIdIsTaken() public {
        registerCapsule(CAPSULE_B, OWNER_B);
        vm.prank(OWNER_C);
        vm.expectRevert(abi.encodeWithSelector(ICapsuleRegistry.CapsuleExists.selector, CAPSULE_B, OWNER_B));
        capsules.register(CAPSULE_B, hex"01", keccak256("p"), address(policy), keccak256("r"), "/ip4/1.2.3.4");
    }

    function test_register_failsIfAFieldIsMalformed() public {
        vm.expectRevert(abi.encodeWithSelector(ICapsuleRegistry.CapsuleFieldInvalid.selector, "policy"));
        capsules.register(CAPSULE_B, hex"01", keccak256("p"), CREATOR, keccak256("r"), "/ip4/1.2.3.4");
        vm.expectRevert(abi.encodeWithSelector(ICapsuleRegistry.CapsuleFieldInvalid.selector, "cid"));
        capsules.register(CAPSULE_B, new bytes(129), keccak256("p"), address(policy), keccak256("r"), "/ip4/1.2.3.4");
        vm.expectRevert(abi.encodeWithSelector(ICapsuleRegistry.CapsuleFieldInvalid.selector, "agent"));
        capsules.register(CAPSULE_B, hex"01", keccak256("p"), address(policy), keccak256("r"), "");
    }

    function test_updateAgent_isForTheOwner() public {
        registerCapsule(CAPSULE_B, OWNER_B);
        vm.expectRevert(
            abi.encodeWithSelector(ICapsuleRegistry.NotCapsuleOwner.selector, CAPSULE_B, address(this), OWNER_B)
        );
        capsules.updateAgent(CAPSULE_B, "/ip4/5.6.7.8");
        vm.prank(OWNER_B);
        capsules.updateAgent(CAPSULE_B, "/ip4/5.6.7.8");
        assertEq(keccak256(bytes(capsules.capsule(CAPSULE_B).agent)), keccak256("/ip4/5.6.7.8"), "agent");
    }

    function test_capsule_failsIfUnknown() public {
        vm.expectRevert(abi.encodeWithSelector(ICapsuleRegistry.CapsuleUnknown.selector, CAPSULE_B));
        capsules.capsule(CAPSULE_B);
    }
}
