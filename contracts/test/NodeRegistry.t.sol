// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {Credit} from "../src/libraries/Credit.sol";
import {NodeRegistry} from "../src/NodeRegistry.sol";
import {NodeRecord, NodeStatus} from "../src/types/NodeRecord.sol";
import {Admission, Eviction} from "../src/types/Votes.sol";
import {Network} from "./utils/Network.sol";

contract NodeRegistryTest is Network {
    address internal founder;
    address internal candidate;

    function setUp() public override {
        super.setUp();
        founder = accounts[0];
        candidate = accounts[FOUNDERS];
    }

    function test_wire_failsIfNotDeployerOrTwice() public {
        vm.prank(candidate);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotDeployer.selector, candidate));
        registry.wire(address(epochs), address(escrow), address(disputes));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.AlreadyWired.selector));
        registry.wire(address(epochs), address(escrow), address(disputes));
    }

    function test_constructor_failsIfGenesisNamesAnAccountTwice() public {
        address[] memory genesis = new address[](2);
        (genesis[0], genesis[1]) = (founder, founder);
        bytes memory args = abi.encode(NodeRegistry.Config(token, 1, 1, 1), genesis);
        try this.deployExternally(args) {
            revert AssertFailed("deployed");
        } catch (bytes memory reason) {
            bytes memory want = abi.encodeWithSelector(INodeRegistry.FieldInvalid.selector, "genesis");
            assertEq(keccak256(reason), keccak256(want), "reason");
        }
    }

    function deployExternally(bytes memory args) external {
        deploy("NodeRegistry", args);
    }

    function test_genesis_everyFounderVotesWithOneUntilAllAreAdmitted() public {
        assertEq(registry.weightTotal(), FOUNDERS, "before");
        for (uint256 i = 0; i < FOUNDERS; i++) {
            assertTrue(!registry.genesisComplete(), "not yet");
            assertEq(registry.votingWeight(founder), 1, "one each");
            admit(accounts[i], 0);
        }
        assertTrue(registry.genesisComplete(), "complete");
        assertEq(registry.weightTotal(), FOUNDERS * 10, "after");
        assertEq(registry.votingWeight(founder), 10, "ten each");
    }

    function test_genesis_admitsFoundersOnly() public {
        registry.depositFor(candidate, DEPOSIT_MIN);
        _expectAdmitReverts(
            admissionOf(candidate, 1),
            abi.encodeWithSelector(INodeRegistry.AccountNotGenesis.selector, candidate)
        );
    }

    function test_genesis_nobodyLeavesOrIsEvictedBeforeItIsComplete() public {
        admit(founder, 0);
        vm.prank(founder);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.GenesisIncomplete.selector, 4));
        registry.requestExit();
        Eviction memory e = Eviction(founder, 1, 0, 1);
        bytes[] memory signatures = sign(hasher.hash(e));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.GenesisIncomplete.selector, 4));
        registry.evict(e, signatures);
    }

    function test_admit_writesTheWholeRecord() public {
        completeGenesis();
        admit(candidate, 3);
        NodeRecord memory n = registry.node(candidate);
        Admission memory a = admissionOf(candidate, 3);
        assertEq(n.account, candidate, "account");
        assertEq(n.owner, a.owner, "owner");
        assertEq(n.peerKey, a.peerKey, "peerKey");
        assertEq(n.ekId, a.ekId, "ekId");
        assertEq(n.akX, a.akX, "akX");
        assertEq(n.akY, a.akY, "akY");
        assertEq(n.vrfX, a.vrfX, "vrfX");
        assertEq(n.vrfY, a.vrfY, "vrfY");
        assertEq(n.level, 1, "level");
        assertEq(n.admittedEpoch, 3, "admittedEpoch");
        assertEq(n.credit, 1, "credit");
        assertEq(n.weight, 1, "weight");
        assertEq(n.deposit, DEPOSIT_MIN, "deposit");
        assertTrue(n.status == NodeStatus.Active, "status");
    }

    function testFuzz_admit_failsIfTheDepositIsTooLow(uint128 deposit) public {
        completeGenesis();
        deposit = uint128(bound(deposit, 1, DEPOSIT_MIN - 1));
        registry.depositFor(candidate, deposit);
        Admission memory a = admissionOf(candidate, 1);
        _expectAdmitReverts(
            a, abi.encodeWithSelector(INodeRegistry.DepositTooLow.selector, candidate, deposit, DEPOSIT_MIN)
        );
    }

    function test_admit_failsIfAdmittedAlready() public {
        completeGenesis();
        _expectAdmitReverts(
            admissionOf(founder, 9),
            abi.encodeWithSelector(INodeRegistry.AlreadyAdmitted.selector, founder, NodeStatus.Active)
        );
    }

    function test_admit_failsIfAKeyBelongsToAnother() public {
        completeGenesis();
        registry.depositFor(candidate, DEPOSIT_MIN);
        Admission memory theirs = admissionOf(founder, 0);

        Admission memory a = admissionOf(candidate, 1);
        a.ekId = theirs.ekId;
        _expectAdmitReverts(a, abi.encodeWithSelector(INodeRegistry.EkTaken.selector, a.ekId, founder));
        a = admissionOf(candidate, 1);
        a.peerKey = theirs.peerKey;
        _expectAdmitReverts(a, abi.encodeWithSelector(INodeRegistry.PeerKeyTaken.selector, a.peerKey, founder));
        a = admissionOf(candidate, 1);
        (a.vrfX, a.vrfY) = (theirs.vrfX, theirs.vrfY);
        _expectAdmitReverts(
            a, abi.encodeWithSelector(INodeRegistry.VrfKeyTaken.selector, a.vrfX, a.vrfY, theirs.ekId)
        );
    }

    function test_admit_failsIfAFieldIsMalformed() public {
        completeGenesis();
        Admission memory a = admissionOf(candidate, 1);
        a.level = 4;
        _expectAdmitReverts(a, abi.encodeWithSelector(INodeRegistry.FieldInvalid.selector, "level"));
        a = admissionOf(candidate, 1);
        a.endpoint = "";
        _expectAdmitReverts(a, abi.encodeWithSelector(INodeRegistry.FieldInvalid.selector, "endpoint"));
        a = admissionOf(candidate, 1);
        a.endpoint = string(new bytes(513));
        _expectAdmitReverts(a, abi.encodeWithSelector(INodeRegistry.FieldInvalid.selector, "endpoint"));
        a = admissionOf(candidate, 1);
        a.peerKey = 0;
        _expectAdmitReverts(a, abi.encodeWithSelector(INodeRegistry.FieldInvalid.selector, "peerKey"));
    }

    function test_admit_takesACertificateForFourEpochsAndNotLater() public {
        completeGenesis();
        registry.depositFor(candidate, DEPOSIT_MIN);
        assertEq(registry.ADMISSION_EPOCHS(), 4, "epochs");
        recordEpoch(8, keccak256("credit"));
        _expectAdmitReverts(
            admissionOf(candidate, 3),
            abi.encodeWithSelector(INodeRegistry.AdmissionStale.selector, candidate, 3, 8)
        );
        Admission memory a = admissionOf(candidate, 4);
        registry.requireAdmissible(a);
        registry.admit(a, sign(hasher.hash(a)));
        assertTrue(registry.isActive(candidate), "in the last good epoch");
    }

    function test_admit_failsWhileTheAccountIsExiting() public {
        completeGenesis();
        vm.prank(founder);
        registry.requestExit();
        _expectAdmitReverts(
            admissionOf(founder, 9),
            abi.encodeWithSelector(INodeRegistry.AlreadyAdmitted.selector, founder, NodeStatus.Exiting)
        );
    }

    /// @dev Whatever the account has been through, and whatever it shows, under a certificate of all voters.
    function testFuzz_requireAdmissible_answersAsAdmitDoes(
        uint8 past,
        uint8 change,
        uint128 deposit,
        uint64 epoch,
        uint64 latestEpoch
    ) public {
        if (past % 8 != 0) completeGenesis();
        latestEpoch = uint64(bound(latestEpoch, 1, 40));
        recordEpoch(latestEpoch, keccak256("credit"));
        registry.depositFor(candidate, uint128(bound(deposit, 1, 2 * DEPOSIT_MIN)));
        Admission memory a = admissionOf(candidate, epoch % 8 == 0 ? epoch : uint64(bound(epoch, 0, 50)));
        if (past % 8 > 2) admit(candidate, latestEpoch);
        if (past % 8 == 4) evict(candidate, latestEpoch);
        if (past % 8 > 4) _exit(candidate);
        if (past % 8 == 4 || past % 8 > 5) vm.warp(block.timestamp + EXIT_DELAY_S);
        if (past % 8 > 5) _withdraw(candidate);
        if (past % 8 == 4 || past % 8 == 7) registry.depositFor(candidate, DEPOSIT_MIN);
        _change(a, change);

        bytes[] memory signatures = sign(hasher.hash(a));
        bytes memory refusal;
        try registry.requireAdmissible(a) {} catch (bytes memory reason) {
            refusal = reason;
        }
        try registry.admit(a, signatures) {
            assertEq(refusal.length, 0, "refused by the view alone");
        } catch (bytes memory reason) {
            assertEq(keccak256(refusal), keccak256(reason), "another reason");
        }
    }

    function test_evict_forfeitsDepositVoteAndCredit() public {
        completeGenesis();
        evict(founder, 5);
        NodeRecord memory n = registry.node(founder);
        assertTrue(n.status == NodeStatus.Evicted, "status");
        assertEq(n.credit, 0, "credit");
        assertEq(n.weight, 0, "weight");
        assertEq(n.deposit, 0, "deposit");
        assertEq(n.suspendedUntil, 5 + SUSPENSION_EPOCHS, "suspended");
        assertEq(registry.reserve(), DEPOSIT_MIN, "reserve");
        assertEq(registry.weightTotal(), 40, "weight total");
    }

    function test_evict_catchesANodeThatIsExiting() public {
        completeGenesis();
        vm.prank(founder);
        registry.requestExit();
        evict(founder, 1);
        vm.warp(block.timestamp + EXIT_DELAY_S + 1);
        vm.prank(founder);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NothingToWithdraw.selector, founder));
        registry.withdraw();
    }

    function test_evict_failsOnACertificateFromAnEarlierMembership() public {
        completeGenesis();
        admit(candidate, 1);
        Eviction memory e = Eviction(candidate, 1, keccak256("evidence"), 1);
        bytes[] memory signatures = sign(hasher.hash(e));
        registry.evict(e, signatures);
        admit(candidate, 1 + SUSPENSION_EPOCHS);
        vm.expectRevert(
            abi.encodeWithSelector(INodeRegistry.EvictionStale.selector, candidate, 1, 1 + SUSPENSION_EPOCHS)
        );
        registry.evict(e, signatures);
    }

    function test_admit_keepsAnEvictedEkOutUnderEveryAccount() public {
        completeGenesis();
        admit(candidate, 1);
        evict(candidate, 2);
        address other = accounts[FOUNDERS + 1];
        registry.depositFor(other, DEPOSIT_MIN);
        Admission memory a = admissionOf(other, 11);
        a.ekId = admissionOf(candidate, 1).ekId;
        _expectAdmitReverts(
            a, abi.encodeWithSelector(INodeRegistry.Suspended.selector, other, a.ekId, 11, 2 + SUSPENSION_EPOCHS)
        );
        a.epoch = 2 + SUSPENSION_EPOCHS;
        registry.admit(a, sign(hasher.hash(a)));
        assertTrue(registry.isActive(other), "after suspension");
    }

    function test_exit_freesTheDepositAfterTheDelayAndEndsTheVoteAtOnce() public {
        completeGenesis();
        admit(candidate, 1);
        vm.prank(candidate);
        registry.requestExit();
        assertEq(registry.votingWeight(candidate), 0, "no vote");
        uint256 availableAtS = block.timestamp + EXIT_DELAY_S;
        vm.warp(availableAtS - 1);
        vm.prank(candidate);
        vm.expectRevert(
            abi.encodeWithSelector(
                INodeRegistry.DepositLocked.selector, candidate, NodeStatus.Exiting, availableAtS
            )
        );
        registry.withdraw();
        vm.warp(availableAtS);
        vm.prank(candidate);
        registry.withdraw();
        assertEq(token.balanceOf(candidate), DEPOSIT_MIN, "paid out");
        assertTrue(statusOf(candidate) == NodeStatus.Left, "left");
    }

    function test_withdraw_failsWhileActiveAndServesWhoNeverJoined() public {
        completeGenesis();
        vm.prank(founder);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.DepositLocked.selector, founder, NodeStatus.Active, 0));
        registry.withdraw();
        registry.depositFor(candidate, 7);
        vm.prank(candidate);
        registry.withdraw();
        assertEq(token.balanceOf(candidate), 7, "returned");
    }

    function test_admit_failsUnderAnOwnerThatHasNotPaidForTheAccount() public {
        completeGenesis();
        address owner = accounts[FOUNDERS + 1];
        registry.depositFor(candidate, DEPOSIT_MIN);
        Admission memory a = admissionOf(candidate, 1);
        a.owner = owner;
        _expectAdmitReverts(
            a, abi.encodeWithSelector(INodeRegistry.OwnerNotBacking.selector, candidate, owner)
        );
        a.owner = address(0);
        _expectAdmitReverts(a, abi.encodeWithSelector(INodeRegistry.FieldInvalid.selector, "owner"));
        a.owner = address(this);
        assertTrue(registry.isBacking(address(this), candidate), "who paid backs it");
        registry.admit(a, sign(hasher.hash(a)));
        assertEq(registry.node(candidate).owner, address(this), "owner");
    }

    function test_withdraw_paysAMembersDepositToItsOwnerAndWhatCameLaterToTheCaller() public {
        completeGenesis();
        address owner = accounts[FOUNDERS + 1];
        token.transfer(owner, DEPOSIT_MIN);
        vm.prank(owner);
        token.approve(address(registry), DEPOSIT_MIN);
        vm.prank(owner);
        registry.depositFor(candidate, DEPOSIT_MIN);
        Admission memory a = admissionOf(candidate, 1);
        a.owner = owner;
        registry.admit(a, sign(hasher.hash(a)));
        vm.prank(candidate);
        registry.requestExit();
        vm.warp(block.timestamp + EXIT_DELAY_S);
        vm.prank(candidate);
        registry.withdraw();
        assertEq(token.balanceOf(owner), DEPOSIT_MIN, "to the owner");
        registry.depositFor(candidate, 7);
        vm.prank(candidate);
        registry.withdraw();
        assertEq(token.balanceOf(candidate), 7, "to the caller");
    }

    function test_admit_failsOnACertificateFromBeforeTheExit() public {
        completeGenesis();
        Admission memory a = admissionOf(candidate, 4);
        admit(candidate, 4);
        bytes[] memory signatures = sign(hasher.hash(a));
        recordEpoch(5, keccak256("credit"));
        vm.prank(candidate);
        registry.requestExit();
        vm.warp(block.timestamp + EXIT_DELAY_S);
        vm.prank(candidate);
        registry.withdraw();
        registry.depositFor(candidate, DEPOSIT_MIN);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.Suspended.selector, candidate, a.ekId, 4, 6));
        registry.admit(a, signatures);
        admit(candidate, 6);
        assertTrue(registry.isActive(candidate), "with a fresh one");
        assertEq(registry.nodeCount(), FOUNDERS + 1, "listed once");
    }

    function test_applyCredit_failsForStrangersAndForInactiveAccounts() public {
        completeGenesis();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.CallerNotTrusted.selector, address(this)));
        registry.applyCredit(founder, 1);
        vm.prank(address(escrow));
        vm.expectRevert(
            abi.encodeWithSelector(INodeRegistry.NodeNotActive.selector, candidate, NodeStatus.None)
        );
        registry.applyCredit(candidate, 1);
        vm.prank(address(escrow));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.CallerNotTrusted.selector, address(escrow)));
        registry.slash(founder, candidate);
    }

    function testFuzz_applyCredit_clampsAndWeighsByTheIntegerSquareRoot(int32 delta) public {
        completeGenesis();
        vm.prank(address(escrow));
        registry.applyCredit(founder, delta);
        int256 want = int256(100) + delta;
        if (want < 0) want = 0;
        if (want > 10_000) want = 10_000;
        NodeRecord memory n = registry.node(founder);
        assertEq(n.credit, uint256(want), "credit");
        uint256 w = n.weight;
        assertTrue(w >= 1 && w <= 100, "bounds");
        assertTrue(w * w <= n.credit || w == 1, "not above the root");
        assertTrue((w + 1) * (w + 1) > n.credit, "not below the root");
        assertEq(registry.weightTotal(), 40 + w, "total follows");
    }

    function test_credit_agreesWithTheSharedConstants() public view {
        string memory json = vm.readFile("../vectors/credit/weights.json");
        assertEq(registry.CREDIT_MAX(), vm.parseJsonUint(json, ".constants.max"), "max");
        assertEq(registry.CREDIT_GENESIS(), vm.parseJsonUint(json, ".constants.genesis"), "genesis");
        assertEq(registry.CREDIT_NEWCOMER(), vm.parseJsonUint(json, ".constants.newcomer"), "newcomer");
        assertEq(
            uint32(escrow.CREDIT_EXECUTED()), vm.parseJsonUint(json, ".constants.executed"), "executed"
        );
        assertEq(
            uint32(escrow.CREDIT_VERIFIED()), vm.parseJsonUint(json, ".constants.verified"), "verified"
        );
    }

    function test_weight_agreesWithTheSharedVectors() public {
        completeGenesis();
        string memory json = vm.readFile("../vectors/credit/weights.json");
        uint256 count = 0;
        for (; vm.keyExistsJson(json, string.concat(".weights[", vm.toString(count), "]")); count++) {
            string memory entry = string.concat(".weights[", vm.toString(count), "]");
            uint256 credit = vm.parseJsonUint(json, string.concat(entry, ".credit"));
            uint256 before = registry.node(founder).credit;
            vm.prank(address(escrow));
            registry.applyCredit(founder, int32(int256(credit) - int256(before)));
            assertEq(registry.node(founder).credit, credit, "credit");
            assertEq(
                registry.votingWeight(founder), vm.parseJsonUint(json, string.concat(entry, ".weight")), "weight"
            );
        }
        assertTrue(count > 200, "vectors found");
    }

    function test_syncCredit_takesTheLatestEpochOnly() public {
        completeGenesis();
        vm.roll(block.number + 1);
        recordEpoch(1, _leaf(founder, 1, 144));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.CreditEpochMismatch.selector, 2, 1));
        registry.syncCredit(founder, 2, 144, new bytes32[](0));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.CreditProofInvalid.selector, founder, 1, 145));
        registry.syncCredit(founder, 1, 145, new bytes32[](0));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.CreditTooHigh.selector, 10_001, 10_000));
        registry.syncCredit(founder, 1, 10_001, new bytes32[](0));
        registry.syncCredit(founder, 1, 144, new bytes32[](0));
        assertEq(registry.votingWeight(founder), 12, "weight");
        assertEq(registry.weightTotal(), 52, "total");
    }

    function test_syncCredit_neverUndoesALaterChange() public {
        completeGenesis();
        recordEpoch(1, _leaf(founder, 1, 144));
        uint64 boundaryBlock = uint64(block.number);
        vm.roll(boundaryBlock + 1);
        vm.prank(address(disputes));
        registry.slash(founder, candidate);
        vm.expectRevert(
            abi.encodeWithSelector(
                INodeRegistry.CreditChangedSince.selector, founder, boundaryBlock + 1, boundaryBlock
            )
        );
        registry.syncCredit(founder, 1, 144, new bytes32[](0));
    }

    function test_syncCredit_missedUpdateLeavesTheLeastWeightAndTheDeposit() public {
        completeGenesis();
        vm.roll(block.number + 1);
        uint32 credit = Credit.afterMissedUpdate(registry.node(founder).credit);
        recordEpoch(1, _leaf(founder, 1, credit));
        registry.syncCredit(founder, 1, credit, new bytes32[](0));
        NodeRecord memory n = registry.node(founder);
        assertEq(n.credit, 0, "credit");
        assertEq(n.weight, 1, "weight");
        assertEq(registry.weightTotal(), 41, "total");
        assertEq(n.deposit, 1_000, "deposit");
    }

    function test_slash_sharesTheForfeitBetweenReporterAndReserve() public {
        completeGenesis();
        vm.prank(address(disputes));
        registry.slash(founder, candidate);
        NodeRecord memory n = registry.node(founder);
        assertEq(n.deposit, 500, "deposit");
        assertEq(n.credit, 0, "credit");
        assertEq(n.weight, 1, "weight");
        assertEq(token.balanceOf(candidate), 250, "reward");
        assertEq(registry.reserve(), 250, "reserve");
    }

    function test_nodes_pagesInOrderAndIsBounded() public {
        completeGenesis();
        NodeRecord[] memory page = registry.nodes(3, 100);
        assertEq(page.length, 2, "cut at the end");
        assertEq(page[0].account, accounts[3], "order");
        assertEq(registry.nodes(5, 6).length, 0, "past the end");
        assertEq(registry.nodes(4, 2).length, 0, "reversed");
    }

    function _expectAdmitReverts(Admission memory a, bytes memory reason) private {
        bytes[] memory signatures = sign(hasher.hash(a));
        vm.expectRevert(reason);
        registry.requireAdmissible(a);
        vm.expectRevert(reason);
        registry.admit(a, signatures);
    }

    function _change(Admission memory a, uint8 change) private view {
        Admission memory theirs = admissionOf(accounts[1], 0);
        if (change % 8 == 1) a.ekId = theirs.ekId;
        if (change % 8 == 2) a.peerKey = theirs.peerKey;
        if (change % 8 == 3) (a.vrfX, a.vrfY) = (theirs.vrfX, theirs.vrfY);
        if (change % 8 == 4) a.owner = theirs.account;
        if (change % 8 == 5) a.account = theirs.account;
        if (change % 8 == 6) a.level = 0;
    }

    function _exit(address account) private {
        vm.prank(account);
        registry.requestExit();
    }

    function _withdraw(address account) private {
        vm.prank(account);
        registry.withdraw();
    }

    function _leaf(address account, uint64 epoch, uint32 credit) private pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(0), account, epoch, credit));
    }
}
