// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @title Merkle tree of (account, epoch, credit)
/// @notice RFC 6962 prefixes (0 leaf, 1 node) and sorted pairs over SHA-256; the off-chain twin builds the same tree.
library CreditTree {
    /// @notice No tree of 2^32 leaves is deeper.
    uint256 internal constant PROOF_LENGTH_MAX = 32;

    function verify(bytes32 root, address account, uint64 epoch, uint32 credit, bytes32[] calldata proof)
        internal
        pure
        returns (bool)
    {
        if (proof.length > PROOF_LENGTH_MAX) return false;
        bytes32 hash = sha256(abi.encodePacked(uint8(0), account, epoch, credit));
        for (uint256 i = 0; i < proof.length; i++) {
            hash = hash <= proof[i] ? _node(hash, proof[i]) : _node(proof[i], hash);
        }
        return hash == root;
    }

    function _node(bytes32 low, bytes32 high) private pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(1), low, high));
    }
}
