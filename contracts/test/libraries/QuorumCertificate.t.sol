// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {INodeRegistry} from "../../src/interfaces/INodeRegistry.sol";
import {QuorumCertificate} from "../../src/libraries/QuorumCertificate.sol";
import {Network} from "../utils/Network.sol";

contract QuorumCertificateTest is Network {
    bytes32 internal constant VOTE = keccak256("vote");
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    function setUp() public override {
        super.setUp();
        completeGenesis();
    }

    function test_requireQuorum_returnsTheSignersWeight() public view {
        assertEq(registry.requireQuorum(VOTE, signBy(VOTE, firstAccounts(4))), 40, "weight");
    }

    function test_requireQuorum_failsIfExactlyTwoThirds() public {
        // One newcomer at weight 10 makes six equal voters: four of them are two thirds, and not more.
        address sixth = accounts[FOUNDERS];
        admit(sixth, 1);
        vm.prank(address(escrow));
        registry.applyCredit(sixth, 99);
        assertEq(registry.weightTotal(), 60, "total");
        bytes[] memory four = signBy(VOTE, firstAccounts(4));
        vm.expectRevert(abi.encodeWithSelector(QuorumCertificate.QuorumNotReached.selector, 40, 60));
        registry.requireQuorum(VOTE, four);
        assertEq(registry.requireQuorum(VOTE, signBy(VOTE, firstAccounts(5))), 50, "five");
    }

    function test_requireQuorum_failsIfNobodySigned() public {
        vm.expectRevert(abi.encodeWithSelector(QuorumCertificate.QuorumNotReached.selector, 0, 50));
        registry.requireQuorum(VOTE, new bytes[](0));
    }

    function test_requireQuorum_failsIfASignerSignsTwice() public {
        address[] memory signers = firstAccounts(4);
        signers[3] = signers[2];
        bytes[] memory signatures = signBy(VOTE, signers);
        vm.expectRevert(
            abi.encodeWithSelector(QuorumCertificate.SignersNotRising.selector, signers[2], signers[2])
        );
        registry.requireQuorum(VOTE, signatures);
    }

    function test_requireQuorum_failsIfUnsorted() public {
        address[] memory signers = firstAccounts(4);
        (signers[1], signers[2]) = (signers[2], signers[1]);
        bytes[] memory signatures = signBy(VOTE, signers);
        vm.expectRevert(
            abi.encodeWithSelector(QuorumCertificate.SignersNotRising.selector, signers[1], signers[2])
        );
        registry.requireQuorum(VOTE, signatures);
    }

    function test_requireQuorum_failsIfASignerIsForeign() public {
        bytes[] memory signatures = signBy(VOTE, firstAccounts(FOUNDERS + 1));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.SignerNotVoter.selector, accounts[FOUNDERS]));
        registry.requireQuorum(VOTE, signatures);
    }

    function test_requireQuorum_failsIfASignerWasEvicted() public {
        bytes[] memory signatures = signBy(VOTE, firstAccounts(4));
        evict(accounts[1], 1);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.SignerNotVoter.selector, accounts[1]));
        registry.requireQuorum(VOTE, signatures);
    }

    function test_requireQuorum_failsIfSIsHigh() public {
        bytes[] memory signatures = signBy(VOTE, firstAccounts(4));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[accounts[2]], registry.voteDigest(VOTE));
        bytes32 flipped = bytes32(ORDER - uint256(s));
        signatures[2] = abi.encodePacked(r, flipped, v == 27 ? uint8(28) : uint8(27));
        vm.expectRevert(abi.encodeWithSelector(QuorumCertificate.SignatureSTooHigh.selector, 2, flipped));
        registry.requireQuorum(VOTE, signatures);
    }

    function test_requireQuorum_failsIfVIsUnknown() public {
        bytes[] memory signatures = signBy(VOTE, firstAccounts(4));
        signatures[1][64] = 0x1d;
        vm.expectRevert(abi.encodeWithSelector(QuorumCertificate.SignatureInvalid.selector, 1));
        registry.requireQuorum(VOTE, signatures);
    }

    function testFuzz_requireQuorum_failsIfLengthIsNot65(uint8 length) public {
        vm.assume(length != 65);
        bytes[] memory signatures = signBy(VOTE, firstAccounts(4));
        signatures[0] = new bytes(length);
        vm.expectRevert(abi.encodeWithSelector(QuorumCertificate.SignatureLengthInvalid.selector, 0, length));
        registry.requireQuorum(VOTE, signatures);
    }

    function testFuzz_requireQuorum_failsIfAnotherVoteWasSigned(bytes32 other) public view {
        vm.assume(other != VOTE);
        try registry.requireQuorum(other, signBy(VOTE, firstAccounts(5))) {
            revert AssertFailed("accepted signatures over another vote");
        } catch (bytes memory) {}
    }

    function testFuzz_requireQuorum_succeedsIfMoreThanTwoThirdsSigned(uint8 mask) public view {
        mask = mask & 0x1f;
        uint256 count = 0;
        for (uint256 i = 0; i < FOUNDERS; i++) {
            if ((mask >> i) & 1 == 1) count++;
        }
        address[] memory signers = new address[](count);
        uint256 next = 0;
        for (uint256 i = 0; i < FOUNDERS; i++) {
            if ((mask >> i) & 1 == 1) signers[next++] = accounts[i];
        }
        try registry.requireQuorum(VOTE, signBy(VOTE, signers)) {
            assertTrue(count >= 4, "accepted too few");
        } catch (bytes memory) {
            assertTrue(count < 4, "refused enough");
        }
    }
}
