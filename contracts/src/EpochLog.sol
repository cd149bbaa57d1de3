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
    }

    INodeRegistry public immutable registry;
    /// @inheritdoc IEpochLog
    uint64 public immutable epochMs;
    /// @inheritdoc IEpochLog
    uint64 public latestEpoch;

    // Only the latest boundary and credit root are read on chain: overwriting them saves two new slots an epoch.
    uint64 private _boundaryBlock;
    bytes32 private _creditRoot;
    mapping(uint64 epoch => Entry) private _entries;

    constructor(INodeRegistry registry_, uint64 epochMs_) {
        registry = registry_;
        epochMs = epochMs_;
    }

    /// @inheritdoc IEpochLog
    function record(EpochRecord calldata r, bytes[] calldata signatures) external {
        if (r.epoch <= latestEpoch) revert EpochNotRising(r.epoch, latestEpoch);
        if (r.boundaryBlock < _boundaryBlock || r.boundaryBlock > block.number) {
            revert BoundaryBlockInvalid(r.boundaryBlock, _boundaryBlock, block.number);
        }
        bytes32 recordHash = VoteHash.hash(r);
        uint256 weight = registry.requireQuorum(recordHash, signatures);

        latestEpoch = r.epoch;
        _boundaryBlock = r.boundaryBlock;
        _creditRoot = r.creditRoot;
        _entries[r.epoch] = Entry(recordHash, r.seed);
        emit EpochRecorded(r.epoch, r, recordHash, weight);
    }

    /// @inheritdoc IEpochLog
    function latest() external view returns (uint64 epoch, bytes32 seed, bytes32 creditRoot, uint64 boundaryBlock) {
        return (latestEpoch, _entries[latestEpoch].seed, _creditRoot, _boundaryBlock);
    }

    /// @inheritdoc IEpochLog
    function epochAt(uint64 epoch) external view returns (bytes32 recordHash, bytes32 seed) {
        Entry storage entry = _entries[epoch];
        if (entry.recordHash == 0) revert EpochUnknown(epoch);
        return (entry.recordHash, entry.seed);
    }
}
