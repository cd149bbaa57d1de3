// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @dev Active members vote; an exiting member has no vote but can still be expelled.
enum NodeStatus {
    None,
    Active,
    Evicted,
    Exiting,
    Left
}

/// @notice Everything layer 1 knows about a member.
struct NodeRecord {
    address account;
    address owner; // of the membership: its deposit goes back there
    bytes32 peerKey; // Ed25519, the libp2p identity
    bytes32 ekId; // SHA-256 of the EK's public area
    bytes32 akX;
    bytes32 akY;
    bytes32 vrfX;
    bytes32 vrfY;
    uint8 level; // 1 development, 2 vouched, 3 hardware
    uint64 admittedEpoch;
    uint32 credit;
    uint32 weight; // zero unless active
    uint128 deposit;
    NodeStatus status;
    uint64 suspendedUntil; // the first epoch in which the account may be admitted again
}

/// @notice The part of a record that payments and release policies ask for.
struct Standing {
    NodeStatus status;
    uint8 level;
    uint32 credit;
    uint32 weight;
    uint128 deposit;
}
