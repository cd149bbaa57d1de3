// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IEpochLog} from "./interfaces/IEpochLog.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {VoteHash} from "./libraries/VoteHash.sol";
import {EpochRecord} from "./types/Votes.sol";

/// @title EpochLog
contract EpochLog is IEpochLog {
    struct Entry {
        bytes32 recordHash;
        bytes32 seed;
        bytes32 creditRoot;
        uint64 boundaryBlock;
    }

    INodeRegistry public immutable registry;
    /// @inheritdoc IEpochLog
    uint64 public immutable epochMs;
    /// @inheritdoc IEpochLog
    uint64 public latestEpoch;

    mapping(uint64 epoch => Entry) private _entries;

    constructor(INodeRegistry registry_, uint64 epochMs_) {
        registry = registry_;
        epochMs = epochMs_;
    }

    /// @inheritdoc IEpochLog
    function record(EpochRecord calldata r, bytes[] calldata signatures) external {
        uint64 previous = latestEpoch;
        if (r.epoch <= previous) revert EpochNotRising(r.epoch, previous);
        uint64 previousBoundary = _entries[previous].boundaryBlock;
        if (r.boundaryBlock < previousBoundary || r.boundaryBlock >= block.number) {
            revert BoundaryBlockInvalid(r.boundaryBlock, previousBoundary, block.number);
        }
        bytes32 recordHash = VoteHash.hash(r);
        uint256 weight = registry.requireQuorum(recordHash, signatures);

        latestEpoch = r.epoch;
        _entries[r.epoch] = Entry(recordHash, r.seed, r.creditRoot, r.boundaryBlock);
        emit EpochRecorded(r.epoch, r, recordHash, weight);
    }

    /// @inheritdoc IEpochLog
    function latest() external view returns (uint64 epoch, bytes32 seed, bytes32 creditRoot, uint64 boundaryBlock) {
        epoch = latestEpoch;
        Entry storage entry = _entries[epoch];
        return (epoch, entry.seed, entry.creditRoot, entry.boundaryBlock);
    }

    /// @inheritdoc IEpochLog
    function epochAt(uint64 epoch)
        external
        view
        returns (bytes32 recordHash, bytes32 seed, bytes32 creditRoot, uint64 boundaryBlock)
    {
        Entry storage entry = _entries[epoch];
        if (entry.recordHash == 0) revert EpochUnknown(epoch);
        return (entry.recordHash, entry.seed, entry.creditRoot, entry.boundaryBlock);
    }
}
