// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {DisputeState, IDisputes} from "../src/interfaces/IDisputes.sol";
import {NodeStatus} from "../src/types/NodeRecord.sol";
import {AttestationRequest, DisputeVerdict} from "../src/types/Votes.sol";
import {Network} from "./utils/Network.sol";

contract DisputesTest is Network {
    bytes internal constant PROOF = hex"0badc0de";

    address internal attestor;
    address internal target;

    function setUp() public override {
        super.setUp();
        completeGenesis();
        (attestor, target) = (accounts[0], accounts[1]);
    }

    function test_resolve_slashesTheGuiltyAndRewardsTheReporter() public {
        bytes32 id = _report(_request());
        assertTrue(disputes.dispute(id).state == DisputeState.Open, "open");
        _resolve(id, true);
        assertTrue(disputes.dispute(id).state == DisputeState.Guilty, "guilty");
        assertEq(registry.standing(attestor).credit, 0, "credit");
        assertEq(registry.standing(attestor).deposit, DEPOSIT_MIN / 2, "deposit");
        assertEq(token.balanceOf(target), DEPOSIT_MIN / 4, "reward");
    }

    function test_resolve_costsTheInnocentNothing() public {
        bytes32 id = _report(_request());
        _resolve(id, false);
        assertTrue(disputes.dispute(id).state == DisputeState.Dismissed, "dismissed");
        assertEq(registry.standing(attestor).credit, 100, "credit");
        assertEq(registry.standing(attestor).deposit, DEPOSIT_MIN, "deposit");
    }

    function test_resolve_closesEvenIfTheAccusedIsGone() public {
        bytes32 id = _report(_request());
        evict(attestor, 1);
        _resolve(id, true);
        assertEq(token.balanceOf(target), 0, "nothing left to take");
    }

    function test_resolve_failsTwice() public {
        bytes32 id = _report(_request());
        _resolve(id, true);
        DisputeVerdict memory v = DisputeVerdict(id, true);
        bytes[] memory signatures = sign(hasher.hash(v));
        vm.expectRevert(abi.encodeWithSelector(IDisputes.DisputeNotOpen.selector, id, DisputeState.Guilty));
        disputes.resolve(v, signatures);
    }

    function test_report_failsIfReportedBefore() public {
        AttestationRequest memory r = _request();
        bytes32 id = _report(r);
        _expectReportReverts(r, target, abi.encodeWithSelector(IDisputes.DisputeExists.selector, id));
    }

    function test_report_failsIfTheProofIsNotTheSignedOne() public {
        AttestationRequest memory r = _request();
        r.proofHash = keccak256("another");
        _expectReportReverts(
            r, target, abi.encodeWithSelector(IDisputes.ProofHashMismatch.selector, keccak256(PROOF), r.proofHash)
        );
    }

    function test_report_isForTheAttestedNode() public {
        _expectReportReverts(
            _request(),
            accounts[2],
            abi.encodeWithSelector(IDisputes.ReporterNotTarget.selector, accounts[2], target)
        );
        AttestationRequest memory r = _request();
        r.target = attestor;
        _expectReportReverts(r, attestor, abi.encodeWithSelector(IDisputes.SelfReport.selector, attestor));
    }

    function test_report_failsIfTheAttestorDidNotSign() public {
        AttestationRequest memory r = _request();
        bytes memory signature = signDigest(registry.voteDigest(hasher.hash(r)), accounts[2]);
        vm.prank(target);
        vm.expectRevert(
            abi.encodeWithSelector(IDisputes.AttestorSignatureMismatch.selector, accounts[2], attestor)
        );
        disputes.report(r, PROOF, signature);
    }

    function test_report_failsIfEitherIsNoMember() public {
        AttestationRequest memory r = _request();
        r.attestor = accounts[FOUNDERS];
        _expectReportReverts(
            r, target, abi.encodeWithSelector(IDisputes.AttestorNotActive.selector, r.attestor, NodeStatus.None)
        );
        r = _request();
        r.target = accounts[FOUNDERS];
        _expectReportReverts(
            r, r.target, abi.encodeWithSelector(IDisputes.TargetNotActive.selector, r.target, NodeStatus.None)
        );
    }

    function _request() private view returns (AttestationRequest memory) {
        return AttestationRequest(3, attestor, target, 1, keccak256("nonce"), keccak256(PROOF));
    }

    function _report(AttestationRequest memory r) private returns (bytes32) {
        bytes memory signature = signDigest(registry.voteDigest(hasher.hash(r)), r.attestor);
        vm.prank(r.target);
        return disputes.report(r, PROOF, signature);
    }

    function _resolve(bytes32 id, bool guilty) private {
        DisputeVerdict memory v = DisputeVerdict(id, guilty);
        disputes.resolve(v, sign(hasher.hash(v)));
    }

    function _expectReportReverts(AttestationRequest memory r, address reporter, bytes memory reason) private {
        bytes memory signature = signDigest(registry.voteDigest(hasher.hash(r)), r.attestor);
        vm.prank(reporter);
        vm.expectRevert(reason);
        disputes.report(r, PROOF, signature);
    }
}
