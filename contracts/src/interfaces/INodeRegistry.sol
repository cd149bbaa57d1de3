// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {NodeRecord, NodeStatus, Standing} from "../types/NodeRecord.sol";
import {Admission, Eviction} from "../types/Votes.sol";

/// @title Who is a member, with which keys, deposit, credit and voting weight
interface INodeRegistry {
    /// @notice A zero address or key, an unknown level, a bad endpoint or a bad deployment parameter; `field` names it.
    error FieldInvalid(string field);
    error NotDeployer(address caller);
    error AlreadyWired();
    /// @notice Only the task escrow and the disputes contract move credit.
    error CallerNotTrusted(address caller);
    error AccountNotGenesis(address account);
    error GenesisIncomplete(uint256 pending);
    error SignerNotVoter(address signer);
    error AlreadyAdmitted(address account, NodeStatus status);
    error DepositTooLow(address account, uint256 deposit, uint256 depositMin);
    /// @notice The owner that the account names has paid nothing into its deposit: nobody owns a node unasked.
    error OwnerNotBacking(address account, address owner);
    error EkTaken(bytes32 ekId, address holder);
    error PeerKeyTaken(bytes32 peerKey, address holder);
    error VrfKeyTaken(bytes32 vrfX, bytes32 vrfY, bytes32 ekId);
    /// @notice The account or its EK may not be admitted on a certificate of this epoch.
    error Suspended(address account, bytes32 ekId, uint64 epoch, uint64 suspendedUntil);
    /// @notice The certificate is of an epoch more than ADMISSION_EPOCHS before the latest on layer 1.
    error AdmissionStale(address account, uint64 epoch, uint64 latestEpoch);
    error NodeNotActive(address account, NodeStatus status);
    error NodeNotMember(address account, NodeStatus status);
    error EvictionStale(address account, uint64 epoch, uint64 admittedEpoch);
    error DepositLocked(address account, NodeStatus status, uint256 availableAtS);
    error NothingToWithdraw(address account);
    error CreditEpochMismatch(uint64 epoch, uint64 latestEpoch);
    error CreditTooHigh(uint32 credit, uint32 creditMax);
    error CreditProofInvalid(address account, uint64 epoch, uint32 credit);
    /// @notice Credit moved on chain after the block at which the epoch's credit was computed.
    error CreditChangedSince(address account, uint64 creditBlock, uint64 boundaryBlock);
    error PageTooLarge(uint256 size, uint256 sizeMax);

    event Wired(address epochLog, address taskEscrow, address disputes);
    event Deposited(address indexed account, address indexed from, uint128 amount, uint128 deposit);
    event Withdrawn(address indexed account, address indexed to, uint128 amount);
    event ExitRequested(address indexed account, uint64 availableAtS);
    event NodeAdmitted(address indexed account, bytes32 indexed ekId, NodeRecord record, string endpoint);
    event NodeEvicted(
        address indexed account,
        uint64 indexed epoch,
        uint8 reason,
        bytes32 evidenceDigest,
        uint128 forfeited,
        uint32 creditBefore,
        uint32 weightBefore,
        uint64 suspendedUntil
    );
    event NodeSlashed(
        address indexed account,
        address indexed reporter,
        uint128 forfeited,
        uint128 reward,
        uint32 creditBefore
    );
    event GenesisCompleted(uint256 weightTotal);
    event CreditChanged(address indexed account, uint32 creditBefore, uint32 creditAfter, uint32 weight);
    event ReserveFunded(address indexed from, uint128 amount, uint256 reserve);

    /// @notice Completes the deployment: the three contracts that the registry must know. Once, by the deployer.
    function wire(address epochLog, address taskEscrow, address disputes) external;

    /// @notice Adds to an account's deposit, before or after its admission.
    function depositFor(address account, uint128 amount) external;

    /// @notice Gives up membership: the vote ends now, the deposit is free after `exitDelayS`.
    function requestExit() external;

    /// @notice Pays out the caller's whole deposit, to its owner if it was a member; not while the caller is one.
    function withdraw() external;

    /// @notice Admits a candidate on a quorum certificate. Anyone may submit it, until ADMISSION_EPOCHS are over.
    function admit(Admission calldata admission, bytes[] calldata signatures) external;

    /// @notice Expels a member on a quorum certificate; its deposit falls to the reserve.
    function evict(Eviction calldata eviction, bytes[] calldata signatures) external;

    /// @notice Moves an active member's credit, clamped to [0, CREDIT_MAX]. Only the task escrow and disputes.
    function applyCredit(address account, int32 delta) external;

    /// @notice Cuts credit to zero and takes SLASH_BPS of the deposit: REWARD_BPS of that to the reporter, the rest
    /// to the reserve. Does nothing to an account that is no member any more. Only disputes.
    function slash(address account, address reporter) external returns (uint128 forfeited, uint128 reward);

    /// @notice Takes over the credit that the latest epoch record commits to. Anyone may submit it.
    function syncCredit(address account, uint64 epoch, uint32 credit, bytes32[] calldata proof) external;

    /// @notice Moves tokens of the caller into the reserve. Nothing spends the reserve yet.
    function fundReserve(uint128 amount) external;

    /// @notice How many epochs after its own a certificate of an admission is good for: once the epoch log is past
    /// them, whom the registry has not admitted it never will on that certificate.
    function ADMISSION_EPOCHS() external view returns (uint256);

    /// @notice Reverts, with the precise reason, if `admit` would, whoever has signed.
    function requireAdmissible(Admission calldata admission) external view;

    /// @notice The EIP-712 digest of a vote.
    function voteDigest(bytes32 structHash) external view returns (bytes32);

    /// @notice Reverts, with the precise reason, unless the signatures are a quorum certificate over the vote.
    /// @return weight the signers' weight
    function requireQuorum(bytes32 structHash, bytes[] calldata signatures) external view returns (uint256 weight);

    /// @notice The record of an account; all zero but the deposit if it was never admitted.
    function node(address account) external view returns (NodeRecord memory);

    function standing(address account) external view returns (Standing memory);

    /// @notice How many accounts were ever admitted.
    function nodeCount() external view returns (uint256);

    /// @notice The records [from, to) in order of first admission, cut at `nodeCount`; at most PAGE_MAX.
    function nodes(uint256 from, uint256 to) external view returns (NodeRecord[] memory page);

    /// @notice Whether an account has ever paid into another's deposit, and so agrees to own it if that one names it.
    function isBacking(address owner, address account) external view returns (bool);

    function isActive(address account) external view returns (bool);

    function isGenesis(address account) external view returns (bool);

    function genesisAccounts() external view returns (address[] memory);

    /// @notice True once every genesis account was admitted; until then each of them votes with weight 1.
    function genesisComplete() external view returns (bool);

    /// @notice What the account's signature counts in a certificate submitted now.
    function votingWeight(address account) external view returns (uint256);

    function weightTotal() external view returns (uint256);

    function reserve() external view returns (uint256);

    /// @notice When an exiting account's deposit is free, in unix seconds; zero if it is not exiting.
    function exitAvailableAtS(address account) external view returns (uint64);
}
