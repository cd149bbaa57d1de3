// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Admission, EpochRecord, Settlement} from "../src/types/Votes.sol";
import {Network} from "./utils/Network.sol";

/// @notice What .gas-snapshot is made of: one metered call each, with five signers, run as a transaction of its own
/// (cold storage, base cost and calldata included).
contract GasTest is Network {
    function setUp() public override {
        super.setUp();
        completeGenesis();
        registerCapsules();
    }

    function test_gas_admission() public {
        vm.pauseGasMetering();
        address candidate = accounts[FOUNDERS];
        registry.depositFor(candidate, DEPOSIT_MIN);
        Admission memory a = admissionOf(candidate, 1);
        bytes[] memory signatures = sign(hasher.hash(a));
        vm.resumeGasMetering();
        registry.admit(a, signatures);
    }

    function test_gas_epochRecord() public {
        vm.pauseGasMetering();
        recordEpoch(1, keccak256("credit"));
        EpochRecord memory r = epochRecord(2, keccak256("credit 2"));
        bytes[] memory signatures = sign(hasher.hash(r));
        vm.resumeGasMetering();
        epochs.record(r, signatures);
    }

    function test_gas_capsuleRegistration() public {
        capsules.register(
            keccak256("capsule"),
            hex"0155122000112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            keccak256("payload"),
            address(policy),
            keccak256("receiver"),
            "/ip4/127.0.0.1/tcp/4101/p2p/12D3KooWGzBfSV1bbyq5JpzTvS4Nd7C6w1tQKb1Yv5sFCs2DVvQz"
        );
    }

    function test_gas_settlement() public {
        vm.pauseGasMetering();
        bytes32 taskId = createTask(1_000, 2);
        elect(taskId, 1, accounts[0]);
        Settlement memory s = settlementOf(taskId, 1, accounts[0], 1, 4);
        bytes[] memory signatures = sign(hasher.hash(s));
        vm.resumeGasMetering();
        escrow.settle(s, signatures);
    }
}
