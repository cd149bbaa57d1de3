// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Dispute, DisputeState, IDisputes} from "./interfaces/IDisputes.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {QuorumCertificate} from "./libraries/QuorumCertificate.sol";
import {VoteHash} from "./libraries/VoteHash.sol";
import {NodeStatus} from "./types/NodeRecord.sol";
import {AttestationRequest, DisputeVerdict} from "./types/Votes.sol";

/// @title Disputes
contract Disputes is IDisputes {
    uint256 public constant PROOF_BYTES_MAX = 1_024;

    INodeRegistry public immutable registry;

    mapping(bytes32 disputeId => Dispute) private _disputes;

    constructor(INodeRegistry registry_) {
        registry = registry_;
    }

    /// @inheritdoc IDisputes
    function report(AttestationRequest calldata r, bytes calldata proof, bytes calldata signature)
        external
        returns (bytes32 disputeId)
    {
        if (msg.sender != r.target) revert ReporterNotTarget(msg.sender, r.target);
        if (r.attestor == r.target) revert SelfReport(r.target);
        if (proof.length > PROOF_BYTES_MAX) revert ProofTooLong(proof.length, PROOF_BYTES_MAX);
        if (keccak256(proof) != r.proofHash) revert ProofHashMismatch(keccak256(proof), r.proofHash);
        NodeStatus status = registry.standing(r.attestor).status;
        if (status != NodeStatus.Active) revert AttestorNotActive(r.attestor, status);
        status = registry.standing(r.target).status;
        if (status != NodeStatus.Active) revert TargetNotActive(r.target, status);
        disputeId = registry.voteDigest(VoteHash.hash(r));
        if (_disputes[disputeId].state != DisputeState.None) revert DisputeExists(disputeId);
        address signer = QuorumCertificate.recover(disputeId, signature, 0);
        if (signer != r.attestor) revert AttestorSignatureMismatch(signer, r.attestor);

        _disputes[disputeId] = Dispute(msg.sender, DisputeState.Open, r.epoch, r.attestor, r.proofHash);
        emit DisputeReported(disputeId, msg.sender, r.attestor, r.epoch, r, proof, signature);
    }

    /// @inheritdoc IDisputes
    function resolve(DisputeVerdict calldata v, bytes[] calldata signatures) external {
        Dispute storage d = _disputes[v.disputeId];
        if (d.state != DisputeState.Open) revert DisputeNotOpen(v.disputeId, d.state);
        registry.requireQuorum(VoteHash.hash(v), signatures);

        d.state = v.guilty ? DisputeState.Guilty : DisputeState.Dismissed;
        uint128 forfeited = 0;
        uint128 reward = 0;
        if (v.guilty) (forfeited, reward) = registry.slash(d.accused, d.reporter);
        emit DisputeResolved(v.disputeId, d.reporter, d.accused, v.guilty, forfeited, reward);
    }

    /// @inheritdoc IDisputes
    function dispute(bytes32 disputeId) external view returns (Dispute memory) {
        return _disputes[disputeId];
    }
}
