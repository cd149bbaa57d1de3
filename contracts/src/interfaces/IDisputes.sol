// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {NodeStatus} from "../types/NodeRecord.sol";
import {AttestationRequest, DisputeVerdict} from "../types/Votes.sol";

enum DisputeState {
    None,
    Open,
    Guilty,
    Dismissed
}

/// @notice What is kept of a dispute; request, proof and signature are in its event.
struct Dispute {
    address reporter;
    DisputeState state;
    uint64 epoch;
    address accused;
    bytes32 proofHash;
}

/// @title Reports of attestation requests whose draw is false
/// @notice The contract checks that the accused signed the request and this very proof; whether the proof verifies is
/// judged by a quorum. Re-judging the VRF on chain comes with a later issue; the event holds all it will need.
interface IDisputes {
    error ProofTooLong(uint256 length, uint256 lengthMax);
    error ProofHashMismatch(bytes32 proofHash, bytes32 want);
    error ReporterNotTarget(address reporter, address target);
    error SelfReport(address account);
    error AttestorSignatureMismatch(address signer, address attestor);
    error AttestorNotActive(address attestor, NodeStatus status);
    error TargetNotActive(address target, NodeStatus status);
    error DisputeExists(bytes32 disputeId);
    error DisputeNotOpen(bytes32 disputeId, DisputeState state);

    event DisputeReported(
        bytes32 indexed disputeId,
        address indexed reporter,
        address indexed accused,
        uint64 epoch,
        AttestationRequest request,
        bytes proof,
        bytes signature
    );
    event DisputeResolved(
        bytes32 indexed disputeId,
        address indexed reporter,
        address indexed accused,
        bool guilty,
        uint128 forfeited,
        uint128 reward
    );

    /// @notice Reports a signed request with the proof it carried; only the node that was asked.
    /// @return disputeId the EIP-712 digest of the request
    function report(AttestationRequest calldata r, bytes calldata proof, bytes calldata signature)
        external
        returns (bytes32 disputeId);

    /// @notice Closes a dispute on a quorum certificate. Guilt costs credit and deposit and rewards the reporter;
    /// dismissal costs nothing.
    function resolve(DisputeVerdict calldata v, bytes[] calldata signatures) external;

    function dispute(bytes32 disputeId) external view returns (Dispute memory);
}
