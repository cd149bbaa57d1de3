// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IEpochLog} from "../src/interfaces/IEpochLog.sol";
import {QuorumCertificate} from "../src/libraries/QuorumCertificate.sol";
import {EpochRecord} from "../src/types/Votes.sol";
import {Network} from "./utils/Network.sol";

contract EpochLogTest is Network {
    function setUp() public override {
        super.setUp();
        completeGenesis();
    }

    function test_record_keepsWhatTheNextEpochBuildsOn() public {
        EpochRecord memory r = epochRecord(1, keccak256("credit"));
        epochs.record(r, sign(hasher.hash(r)));
        (uint64 epoch, bytes32 seed, bytes32 creditRoot, uint64 boundaryBlock) = epochs.latest();
        assertEq(epoch, 1, "epoch");
        assertEq(seed, r.seed, "seed");
        assertEq(creditRoot, r.creditRoot, "creditRoot");
        assertEq(boundaryBlock, r.boundaryBlock, "boundaryBlock");
        (bytes32 recordHash, bytes32 seedAt) = epochs.epochAt(1);
        assertEq(recordHash, hasher.hash(r), "recordHash");
        assertEq(seedAt, r.seed, "seed of epoch");
    }

    function testFuzz_record_failsIfTheEpochDoesNotRise(uint64 epoch) public {
        recordEpoch(10, keccak256("credit"));
        EpochRecord memory r = epochRecord(uint64(bound(epoch, 0, 10)), keccak256("credit"));
        bytes[] memory signatures = sign(hasher.hash(r));
        vm.expectRevert(abi.encodeWithSelector(IEpochLog.EpochNotRising.selector, r.epoch, 10));
        epochs.record(r, signatures);
    }

    function test_record_failsIfTheBoundaryLiesInTheFutureOrGoesBack() public {
        recordEpoch(1, keccak256("credit"));
        uint64 current = uint64(block.number);
        EpochRecord memory r = epochRecord(2, keccak256("credit"));
        r.boundaryBlock = current + 1;
        bytes[] memory signatures = sign(hasher.hash(r));
        vm.expectRevert(
            abi.encodeWithSelector(IEpochLog.BoundaryBlockInvalid.selector, current + 1, current, current)
        );
        epochs.record(r, signatures);
        r.boundaryBlock = current - 1;
        signatures = sign(hasher.hash(r));
        vm.expectRevert(
            abi.encodeWithSelector(IEpochLog.BoundaryBlockInvalid.selector, current - 1, current, current)
        );
        epochs.record(r, signatures);
    }

    function test_record_failsWithoutAQuorum() public {
        EpochRecord memory r = epochRecord(1, keccak256("credit"));
        bytes[] memory signatures = signBy(hasher.hash(r), firstAccounts(3));
        vm.expectRevert(abi.encodeWithSelector(QuorumCertificate.QuorumNotReached.selector, 30, 50));
        epochs.record(r, signatures);
    }

    function test_epochAt_failsForAnUnknownEpoch() public {
        vm.expectRevert(abi.encodeWithSelector(IEpochLog.EpochUnknown.selector, 3));
        epochs.epochAt(3);
    }
}
