// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title Signature lists as quorum certificates
/// @notice Recovers who signed, and weighs them. Knows no registry: the caller supplies the weights.
library QuorumCertificate {
    /// @notice The signature at `index` is not 65 bytes (r, s, v) long.
    error SignatureLengthInvalid(uint256 index, uint256 length);
    /// @notice The signature at `index` has s in the upper half of the order: it could be flipped by anyone.
    error SignatureSTooHigh(uint256 index, bytes32 s);
    /// @notice The signature at `index` recovers to no address.
    error SignatureInvalid(uint256 index);
    /// @notice Signers must rise strictly by address, which also rules out duplicates.
    error SignersNotRising(address previous, address signer);
    /// @notice The signers' weight is not more than two thirds of the total.
    error QuorumNotReached(uint256 weight, uint256 weightTotal);

    /// @notice The signers of `digest`, in strictly rising order.
    function recoverSigners(bytes32 digest, bytes[] calldata signatures)
        internal
        pure
        returns (address[] memory signers)
    {
        signers = new address[](signatures.length);
        address previous = address(0);
        for (uint256 i = 0; i < signatures.length; i++) {
            address signer = recover(digest, signatures[i], i);
            if (signer <= previous) revert SignersNotRising(previous, signer);
            signers[i] = signer;
            previous = signer;
        }
    }

    /// @notice The signer of `digest`; `index` only names the signature in errors.
    function recover(bytes32 digest, bytes calldata signature, uint256 index) internal pure returns (address signer) {
        if (signature.length != 65) revert SignatureLengthInvalid(index, signature.length);
        bytes32 s = bytes32(signature[32:64]);
        ECDSA.RecoverError problem;
        (signer, problem,) = ECDSA.tryRecover(digest, uint8(signature[64]), bytes32(signature[:32]), s);
        if (problem == ECDSA.RecoverError.InvalidSignatureS) revert SignatureSTooHigh(index, s);
        if (problem != ECDSA.RecoverError.NoError) revert SignatureInvalid(index);
    }

    /// @notice More than two thirds, in integers.
    function requireSupermajority(uint256 weight, uint256 weightTotal) internal pure {
        if (weight * 3 <= weightTotal * 2) revert QuorumNotReached(weight, weightTotal);
    }
}
