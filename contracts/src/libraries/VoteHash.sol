// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {
    Admission,
    AttestationRequest,
    DisputeVerdict,
    Election,
    EpochRecord,
    Eviction,
    PolicyChange,
    Settlement,
    TaskFailure
} from "../types/Votes.sol";

/// @title EIP-712 struct hashes of every vote
library VoteHash {
    bytes32 internal constant ADMISSION_TYPEHASH = keccak256(
        "Admission(address account,address owner,bytes32 peerKey,bytes32 ekId,bytes32 akX,bytes32 akY,bytes32 vrfX,bytes32 vrfY,uint8 level,uint64 epoch,string endpoint)"
    );
    bytes32 internal constant EVICTION_TYPEHASH =
        keccak256("Eviction(address account,uint64 epoch,bytes32 evidenceDigest,uint8 reason)");
    bytes32 internal constant POLICY_CHANGE_TYPEHASH =
        keccak256("PolicyChange(uint64 version,uint8 kind,bytes32 digest,bool approved)");
    bytes32 internal constant EPOCH_RECORD_TYPEHASH = keccak256(
        "EpochRecord(uint64 epoch,bytes32 seed,bytes32 rosterRoot,bytes32 attestationRoot,bytes32 creditRoot,uint32 admissions,uint32 evictions,uint64 policyVersion,uint64 boundaryBlock)"
    );
    bytes32 internal constant ELECTION_TYPEHASH =
        keccak256("Election(bytes32 taskId,uint32 attempt,bytes32 commitment)");
    bytes32 internal constant SETTLEMENT_TYPEHASH = keccak256(
        "Settlement(bytes32 taskId,uint32 attempt,address executor,bytes32 salt,address[] verifiers,bytes32 certificateDigest)"
    );
    bytes32 internal constant TASK_FAILURE_TYPEHASH =
        keccak256("TaskFailure(bytes32 taskId,uint32 attempt,uint8 reason)");
    bytes32 internal constant ATTESTATION_REQUEST_TYPEHASH = keccak256(
        "AttestationRequest(uint64 epoch,address attestor,address target,uint8 command,bytes32 nonce,bytes32 proofHash)"
    );
    bytes32 internal constant DISPUTE_VERDICT_TYPEHASH =
        keccak256("DisputeVerdict(bytes32 disputeId,bool guilty)");

    /// @dev Two parts, every field one word: the compiler's stack holds no more at a time.
    function hash(Admission calldata a) internal pure returns (bytes32) {
        bytes memory keys =
            abi.encode(ADMISSION_TYPEHASH, a.account, a.owner, a.peerKey, a.ekId, a.akX, a.akY, a.vrfX, a.vrfY);
        return keccak256(bytes.concat(keys, abi.encode(a.level, a.epoch, keccak256(bytes(a.endpoint)))));
    }

    // A struct of value types is ABI-encoded in place, one word a field: exactly EIP-712 encodeData.

    function hash(Eviction calldata e) internal pure returns (bytes32) {
        return keccak256(abi.encode(EVICTION_TYPEHASH, e));
    }

    function hash(PolicyChange calldata p) internal pure returns (bytes32) {
        return keccak256(abi.encode(POLICY_CHANGE_TYPEHASH, p));
    }

    function hash(EpochRecord calldata r) internal pure returns (bytes32) {
        return keccak256(abi.encode(EPOCH_RECORD_TYPEHASH, r));
    }

    function hash(Election calldata e) internal pure returns (bytes32) {
        return keccak256(abi.encode(ELECTION_TYPEHASH, e));
    }

    function hash(Settlement calldata s) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                SETTLEMENT_TYPEHASH,
                s.taskId,
                s.attempt,
                s.executor,
                s.salt,
                keccak256(abi.encodePacked(s.verifiers)),
                s.certificateDigest
            )
        );
    }

    function hash(TaskFailure calldata f) internal pure returns (bytes32) {
        return keccak256(abi.encode(TASK_FAILURE_TYPEHASH, f));
    }

    function hash(AttestationRequest calldata r) internal pure returns (bytes32) {
        return keccak256(abi.encode(ATTESTATION_REQUEST_TYPEHASH, r));
    }

    function hash(DisputeVerdict calldata v) internal pure returns (bytes32) {
        return keccak256(abi.encode(DISPUTE_VERDICT_TYPEHASH, v));
    }
}
