// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {EpochRecord} from "../types/Votes.sol";

/// @title One record of constant size per epoch, whatever the number of nodes
interface IEpochLog {
    error EpochNotRising(uint64 epoch, uint64 latestEpoch);
    error BoundaryBlockInvalid(uint64 boundaryBlock, uint64 latestBoundaryBlock, uint256 blockNumber);
    error EpochUnknown(uint64 epoch);

    event EpochRecorded(uint64 indexed epoch, EpochRecord record, bytes32 recordHash, uint256 weight);

    /// @notice Records an epoch on a quorum certificate. Anyone may submit it.
    function record(EpochRecord calldata r, bytes[] calldata signatures) external;

    /// @notice The planned length of an epoch; what every node reads at start.
    function epochMs() external view returns (uint64);

    function latestEpoch() external view returns (uint64);

    /// @notice The latest epoch with what the next one builds on; all zero before the first record.
    function latest() external view returns (uint64 epoch, bytes32 seed, bytes32 creditRoot, uint64 boundaryBlock);

    /// @notice What is kept of every epoch. The rest of a record is in its event; `recordHash`, the EIP-712 struct hash,
    /// proves it.
    function epochAt(uint64 epoch) external view returns (bytes32 recordHash, bytes32 seed);
}
